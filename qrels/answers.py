"""Gold answers: what a suite's queries say of them, and the suite of those that say something."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from qrels.data import ANSWERS, Qrels, Queries, Suite
from qrels.errors import DataError, UsageError
from qrels.files import shown

MEASURES = (
    "F1", "EM", "Containment", "Abstained", "AbstainedRightly", "ContextRecall", "GroundedWords",
)  # fmt: skip
"""What is measured of answers unless somebody says otherwise."""


def gold_answers(queries: Queries) -> list[tuple[str, ...]]:
    """The right answers of each query, any of which will do; () where none is known."""
    return [_gold(*row) for row in zip(queries.query_ids, queries.metadata, strict=True)]


def unanswerable(queries: Queries) -> NDArray[np.bool_]:
    """bool (n_queries,): metadata says `unanswerable`, or SQuAD's `is_impossible`."""
    rows = zip(queries.query_ids, queries.metadata, strict=True)
    return np.array([is_unanswerable(name, item) for name, item in rows], np.bool_)


def is_unanswerable(query_id: str, item: Mapping[str, object]) -> bool:
    """Whether a query's metadata says that the corpus has no answer."""
    key = "unanswerable" if "unanswerable" in item else "is_impossible"
    value = item.get(key, False)
    if not isinstance(value, bool):
        place = f"query {query_id!r}: metadata.{key}"
        raise DataError(f"{place} = {shown(value)}; expected true or false")
    return value


def _gold(query_id: str, item: Mapping[str, object]) -> tuple[str, ...]:
    value = item.get("answers", [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        place = f"query {query_id!r}: answers"
        raise DataError(f"{place} = {shown(value)}; expected a list of strings")
    return () if is_unanswerable(query_id, item) else tuple(value)


def answers_of(suite: Suite) -> Suite:
    """*suite* with those queries alone that have a gold answer, or are known to have none.

    Its split is called "SPLIT answers". UsageError where no query has an answer.
    """
    gold, none = gold_answers(suite.queries), unanswerable(suite.queries)
    keep = [bool(answers) or bool(lacks) for answers, lacks in zip(gold, none, strict=True)]
    if not any(keep):
        raise UsageError(
            f"{suite.name} ({suite.split}) has no gold answers, which a system with a generator "
            'needs; give its queries "answers": [...]'
        )
    return replace(
        suite,
        split=suite.split + ANSWERS,
        queries=picked(suite.queries, keep),
        qrels=_rows(suite.qrels, np.flatnonzero(keep)),
        measures=MEASURES,
        unanswerable_skipped=0,
    )


def picked(queries: Queries, keep: Sequence[bool] | NDArray[np.bool_]) -> Queries:
    """The queries where *keep* is true."""
    return Queries(
        list(compress(queries.query_ids, keep)),
        list(compress(queries.texts, keep)),
        list(compress(queries.metadata, keep)),
    )


def _rows(qrels: Qrels, rows: NDArray[np.int64]) -> Qrels:
    """The judgements of the queries at *rows*."""
    lengths = np.diff(qrels.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    places = np.repeat(qrels.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
    return replace(qrels, indptr=indptr, docs=qrels.docs[places], grades=qrels.grades[places])
