"""What a generator was given and what it cites, held against the qrels."""

from collections.abc import Collection, Iterable

import numpy as np

from bench.answers.data import Answered, Values, relevant_ids, silent


def context_precision(found: Answered) -> Values:
    """Share of the passages given that are relevant; 0 where none was given.

    Two passages of one document count as two.
    """
    rows = zip(found.contexts, relevant_ids(found), strict=True)
    return _array(_share([each.doc_id for each in given], right) for given, right in rows)


def context_recall(found: Answered) -> Values:
    """Share of the relevant passages that were given; 0 where none is relevant, as R@k."""
    rows = zip(found.contexts, relevant_ids(found), strict=True)
    return _array(_share(right, {each.doc_id for each in given}) for given, right in rows)


def citation_precision(found: Answered) -> Values:
    """Share of the cited passages that are relevant.

    Where nothing is cited, 1 if the answer is silent and no passage is relevant, 0 otherwise: a
    system that abstains from everything gains nothing on answerable questions.
    """
    rows = zip(found.answers, relevant_ids(found), strict=True)
    return _array(
        _share(set(said.citations), right, silent(said) and not right) for said, right in rows
    )


def citation_recall(found: Answered) -> Values:
    """Share of the relevant passages that are cited.

    Where none is relevant, 1 if nothing is cited and 0 otherwise.
    """
    rows = zip(found.answers, relevant_ids(found), strict=True)
    return _array(_share(right, said.citations, not said.citations) for said, right in rows)


def _share(part: Collection[str], whole: Collection[str], otherwise: bool = False) -> float:
    """The share of *part* that is in *whole*; 1 or 0 by *otherwise* where *part* is empty."""
    return sum(one in whole for one in part) / len(part) if part else float(otherwise)


def _array(values: Iterable[float]) -> Values:
    return np.array(list(values), np.float64)
