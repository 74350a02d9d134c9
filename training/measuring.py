"""A harness measure of rankings made in memory, while a model is being trained."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.judge import judge
from bench.metrics import parse_measure
from qrels.data import Run, Suite
from qrels.ranking import top_k

BLOCK = 1024
"""Queries that are scored at once."""


def nearest(queries: NDArray[np.float32], documents: NDArray[np.float32], suite: Suite) -> Run:
    """The suite's `depth` nearest documents of each query, by dot product, in the one order.

    queries: float32 (n_queries, dimension), documents: float32 (n_docs, dimension).
    """
    ties = suite.corpus.tie_order
    runs = [
        top_k(queries[start : start + BLOCK] @ documents.T, suite.depth, ties)
        for start in range(0, len(queries), BLOCK)
    ]
    docs, scores = (np.concatenate(part) for part in zip(*runs, strict=True))
    return Run(docs, scores)


def means(suite: Suite, run: Run, names: Sequence[str]) -> dict[str, float]:
    """The mean of each measure over the suite's queries."""
    judged = judge(run, suite.qrels)
    return {name: float(parse_measure(name).values(judged).mean()) for name in names}
