"""Qrels and a run held in dictionaries, as pytrec_eval and ranx take them, ready to be measured."""

from collections.abc import Mapping
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bench.judge import Judged, Ranking, nth
from qrels.data import UNJUDGED
from qrels.errors import UsageError


def judge_dicts(
    qrels: Mapping[str, Mapping[str, int]], run: Mapping[str, Mapping[str, float]]
) -> Judged:
    """The run with its grades, a row a query of *qrels* in their order; as files would give it.

    A query that the run lacks has an empty row, one that the qrels lack is left out. Scores are
    compared as float32, ties broken by doc_id down. Raises UsageError for a score that is not a
    finite float32 and a grade that is not an integer from -32767 to 32767.
    """
    ideal = _ideal(qrels)  # which checks the grades
    rows = [_row(run[query], own) if query in run else _NONE for query, own in qrels.items()]
    depth = max(1, max(map(len, rows), default=1))
    grades = np.full((len(rows), depth), UNJUDGED, np.int16)
    for row, found in zip(grades, rows, strict=True):
        row[: len(found)] = found
    lengths = np.array([len(found) for found in rows], np.int64)
    return Judged(grades, np.arange(depth) < lengths[:, None], ideal)


_NONE = np.empty(0, np.int16)


def _row(ranking: Mapping[str, float], judged: Mapping[str, int]) -> NDArray[np.int16]:
    """The grade of each document of a ranking, best first."""
    with np.errstate(over="ignore"):
        scores = np.fromiter(ranking.values(), np.float64, len(ranking)).astype(np.float32)
    if (bad := np.flatnonzero(~np.isfinite(scores))).size:
        doc_id, score = list(ranking.items())[bad[0]]
        raise UsageError(f"the score of {doc_id!r} is {score}; expected a finite 32-bit number")
    best = np.sort(-scores)
    if (best[1:] == best[:-1]).any():
        return _with_ties(ranking, judged, scores)
    grades = np.full(len(scores), UNJUDGED, np.int16)
    both = list(judged.keys() & ranking.keys())  # which goes through the few that are judged
    own = np.array([ranking[doc_id] for doc_id in both], np.float64).astype(np.float32)
    grades[np.searchsorted(best, -own)] = [judged[doc_id] for doc_id in both]
    return grades


def _with_ties(
    ranking: Mapping[str, float], judged: Mapping[str, int], scores: NDArray[np.float32]
) -> NDArray[np.int16]:
    """The same, document by document."""
    ids = list(ranking)
    down = np.array(sorted(range(len(ids)), key=ids.__getitem__, reverse=True))
    order = down[np.argsort(-scores[down], kind="stable")]
    return np.array([judged.get(ids[place], UNJUDGED) for place in order.tolist()], np.int16)


def _ideal(qrels: Mapping[str, Mapping[str, int]]) -> Ranking:
    """All grades, best first."""
    counts = [len(own) for own in qrels.values()]
    every = chain.from_iterable(own.values() for own in qrels.values())
    grades = np.fromiter(every, np.int64, sum(counts))
    if grades.size and (grades.min() <= UNJUDGED or grades.max() > -UNJUDGED - 1):
        raise UsageError("a grade is out of range; expected integers from -32767 to 32767")
    queries = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-grades, queries))
    return Ranking(queries, nth(queries, len(counts)), grades[order].astype(np.int16))
