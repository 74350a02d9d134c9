"""Small judged rankings written by hand, and large random batches that other judges can read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from bench.judge import Judged, judge
from qrels.data import ABSENT, Qrels, Run
from qrels.ranking import order_ties


@dataclass(frozen=True)
class Batch:
    """A run in the one order and its qrels, and the same two as trec_eval's users hold them.

    run_dict leaves out queries with nothing retrieved; query i is called str(i + 1).
    """

    run: Run
    qrels: Qrels
    run_dict: dict[str, dict[str, float]]
    qrels_dict: dict[str, dict[str, int]]

    def column(self, values: dict[str, float]) -> np.ndarray:
        """float64 (n_queries,): a judge's values by query, 0 for a query that it leaves out."""
        return np.array([values.get(query, 0.0) for query in self.qrels_dict])


@pytest.fixture(scope="session")
def by_grades() -> Callable[..., Judged]:
    """A function (ranked, missing) -> Judged of one query.

    ranked: the grade at each rank, None for unjudged; missing: grades of documents not retrieved.
    """

    def build(ranked: Sequence[int | None], missing: Sequence[int] = ()) -> Judged:
        known = [(doc, grade) for doc, grade in enumerate(ranked) if grade is not None]
        known += [(len(ranked) + i, grade) for i, grade in enumerate(missing)]
        docs, grades = zip(*known, strict=True) if known else ((), ())
        run = Run(
            np.arange(len(ranked), dtype=np.int32)[None],
            -np.arange(len(ranked), dtype=np.float32)[None],
        )
        indptr = np.array([0, len(known)], np.int64)
        return judge(run, Qrels(indptr, np.array(docs, np.int32), np.array(grades, np.int16)))

    return build


@pytest.fixture(scope="session")
def random_batch() -> Callable[..., Batch]:
    """A function (seed, depth, ...) -> Batch of 300 random queries, with everything odd in it.

    Rankings of every length from none to *depth*; scores rounded to *levels* values, so that
    ties abound (None: all scores differ); ids whose order is not that of positions; unjudged
    documents; judged ones that the corpus lacks; queries with no relevant document.
    """

    def build(
        seed: int,
        depth: int,
        levels: int | None = 12,
        grades: Sequence[int] = (-2, -1, 0, 0, 0, 1, 1, 2, 3, 4),
        n_queries: int = 300,
    ) -> Batch:
        rng = np.random.default_rng(seed)
        n_docs, n_lacking = depth + 30, 8
        names = np.array([f"d{number}" for number in rng.permutation(n_docs + n_lacking)])
        run = _random_run(rng, n_queries, n_docs, depth, levels)
        ranks = np.empty(n_docs, np.int32)
        ranks[np.argsort(names[:n_docs])[::-1]] = np.arange(n_docs)
        run = order_ties(run, ranks)
        judged = rng.random((n_queries, n_docs + n_lacking)) < rng.uniform(0, 0.7, (n_queries, 1))
        table = rng.choice(np.array(grades, np.int16), judged.shape)
        judged[:, -1] = True  # pytrec_eval crashes where a query has negative grades only
        table[:, -1] = np.maximum(table[:, -1], 0)
        table[rng.random(n_queries) < 0.1] = 0
        queries, docs = np.nonzero(judged)
        indptr = np.searchsorted(queries, np.arange(n_queries + 1)).astype(np.int64)
        qrels = Qrels(indptr, docs.astype(np.int32), table[judged], names[n_docs:].tolist())
        return Batch(run, qrels, _run_dict(run, names), _qrels_dict(qrels, names))

    return build


def _random_run(
    rng: np.random.Generator, n_queries: int, n_docs: int, depth: int, levels: int | None
) -> Run:
    """Rankings of random lengths, one in ten of them empty, not yet sorted."""
    docs = np.argsort(rng.random((n_queries, n_docs)), axis=1)[:, :depth].astype(np.int32)
    if levels is None:
        scores = np.argsort(rng.random((n_queries, depth)), axis=1).astype(np.float32)
    else:
        scores = (rng.integers(0, levels, (n_queries, depth)) / levels).astype(np.float32)
    lengths = rng.integers(1, depth + 1, n_queries) * (rng.random(n_queries) > 0.1)
    padding = np.arange(depth) >= lengths[:, None]
    docs[padding] = ABSENT
    scores[padding] = -np.inf
    return Run(docs, scores)


def _run_dict(run: Run, names: np.ndarray) -> dict[str, dict[str, float]]:
    return {
        str(query + 1): dict(zip(names[docs[docs >= 0]].tolist(), map(float, scores), strict=False))
        for query, (docs, scores) in enumerate(zip(*run, strict=True))
        if docs[0] >= 0
    }


def _qrels_dict(qrels: Qrels, names: np.ndarray) -> dict[str, dict[str, int]]:
    rows = zip(qrels.indptr[:-1], qrels.indptr[1:], strict=True)
    return {
        str(query + 1): dict(
            zip(names[qrels.docs[a:b]].tolist(), qrels.grades[a:b].tolist(), strict=True)
        )
        for query, (a, b) in enumerate(rows)
    }
