"""What weights are put on, found once, and the measure under many weightings of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import retrievers
from bench.config import System
from bench.judge import judge
from bench.metrics import parse_measure
from bench.tune.fields import field_scores
from bench.tune.lists import list_values
from qrels.data import Qrels, Run, Suite
from qrels.errors import UsageError
from retrievers.fielded import Fielded
from retrievers.fusion import Hybrid

CELLS = 1 << 24
"""How many scores are weighed at a time: 64 MB in float32."""


class Parts(Protocol):
    """The scores of each field or list, of all queries of a suite."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def cells(self) -> int: ...  # how many scores one weighting has

    def ranked(self, weights: NDArray[np.float64], depth: int) -> Run:
        """The best documents, as the retriever with these weights ranks them.

        weights: (n_weightings, n_parts), 0 or more. Returns (n_weightings * n_queries, depth),
        all queries of one weighting after those of the other.
        """


def parts_of(suite: Suite, system: System) -> Parts:
    """The parts that the system's weights are on; UsageError for a retriever that has none."""
    retriever = retrievers.create(system.retriever, system.params)
    kind = next((kind for kind in KINDS if isinstance(retriever, kind)), None)
    if kind is None or system.reranker is not None:
        raise UsageError(
            f"{system.name} has no weights to search; expected fielded or hybrid, not reranked"
        )
    return KINDS[kind](suite, retriever)


KINDS: Mapping[type, Callable[..., Parts]] = {Fielded: field_scores, Hybrid: list_values}
"""Which retrievers have weights, and how their parts are had."""


def measured(
    parts: Parts, suite: Suite, measure: str, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (n_weightings, n_queries): the measure under each weighting, ranked and judged."""
    wanted = parse_measure(measure)
    depth = min(wanted.cutoff or suite.depth, suite.depth)
    step = max(1, CELLS // max(1, parts.cells))
    values = np.empty((len(weights), len(suite.queries)))
    for start in range(0, len(weights), step):
        chunk = weights[start : start + step]
        judged = judge(parts.ranked(chunk, depth), repeated(suite.qrels, len(chunk)))
        values[start : start + step] = wanted.values(judged).reshape(len(chunk), -1)
    return values


def repeated(qrels: Qrels, times: int) -> Qrels:
    """The same judgements for as many copies of all queries, one copy behind the other."""
    ends = qrels.indptr[1:] + np.arange(times)[:, None] * qrels.indptr[-1]
    starts = np.concatenate([[0], ends.ravel()])
    return Qrels(starts, np.tile(qrels.docs, times), np.tile(qrels.grades, times))
