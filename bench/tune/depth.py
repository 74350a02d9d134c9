"""How deep to rerank: a measure by rerank depth, from one scoring pass where that is enough."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.config import System
from bench.runner import ideal, measure_run
from bench.shared import Shared
from bench.stats import paired_bootstrap
from bench.system import beneath
from qrels.data import ABSENT, Run, Suite
from qrels.errors import UsageError
from qrels.ranking import order_ties
from reports.tuning import DepthCurve
from rerankers import RERANKERS
from rerankers.base import Pointwise
from retrievers.registry import parse_spec

DEPTHS = (0, 5, 10, 20, 50, 100)


def depth_curve(
    suite: Suite,
    system: System,
    measure: str,
    depths: Sequence[int] = DEPTHS,
    seed: int = 13,
    say: Callable[[str], None] = lambda _: None,
) -> DepthCurve:
    """The measure at each depth, with the ceiling; depths beyond the suite's are cut to it.

    The first stage runs once. A pointwise reranker scores once, at the largest depth; any other
    once a depth. Raises UsageError for a system without a reranker.
    """
    if system.reranker is None:
        raise UsageError(f"{system.name} has no reranker; expected retriever+reranker")
    depths = sorted({min(depth, suite.depth) for depth in depths} | {0})
    suite = replace(suite, measures=[measure])
    kind = RERANKERS.load(parse_spec(system.reranker)[0])
    pointwise = isinstance(kind, Pointwise) and kind.pointwise
    wanted = [depths[-1]] if pointwise else depths[1:]
    say(f"reranking {len(suite.queries)} queries to depth {', '.join(map(str, wanted))}")
    systems = [replace(system, rerank_depth=depth) for depth in wanted]
    shared = Shared(suite, systems)
    stages = [shared.stages(one) for one in systems]
    first = stages[0][0]
    runs = {0: first, **{depth: run for depth, (_, run) in zip(wanted, stages, strict=True)}}
    if pointwise:
        whole = runs[depths[-1]]
        runs |= {depth: cut(first, whole, depth, depths[-1], suite) for depth in depths[1:]}
    values = [measure_run(suite, runs[depth])[measure] for depth in depths]
    best = [
        measure_run(suite, ideal(suite, first, replace(system, rerank_depth=depth)))[measure]
        for depth in depths
    ]
    top = max(range(len(depths)), key=lambda at: values[at].mean())
    short = [paired_bootstrap(v, values[top], np.random.default_rng(seed)) for v in values]
    return DepthCurve(
        suite=suite.name,
        split=suite.split,
        measure=measure,
        system=system.name,
        depths=tuple(depths),
        means=tuple(float(found.mean()) for found in values),
        gains=tuple(
            paired_bootstrap(found, values[0], np.random.default_rng(seed)) for found in values
        ),
        short=tuple(short),
        ceilings=tuple(float(found.mean()) for found in best),
        passes=len(wanted),
    )


def cut(first: Run, whole: Run, depth: int, scored: int, suite: Suite) -> Run:
    """The ranking that reranking to *depth* gives, from the scores of a pass to depth *scored*."""
    scores = scores_of(first.docs[:, :depth], whole, scored)
    head = order_ties(Run(first.docs[:, :depth], scores), suite.corpus.tie_order)
    return beneath(head, Run(first.docs[:, depth:], first.scores[:, depth:]))


def scores_of(docs: NDArray[np.int32], whole: Run, scored: int) -> NDArray[np.float32]:
    """float32, docs' shape: the score that each document has in the head of *whole*."""
    order = np.argsort(whole.docs[:, :scored], axis=1)
    known = np.take_along_axis(whole.docs[:, :scored], order, axis=1)
    scores = np.take_along_axis(whole.scores[:, :scored], order, axis=1)
    found = np.full(docs.shape, -np.inf, np.float32)
    for row in range(len(docs)):
        present = docs[row] != ABSENT
        found[row, present] = scores[row, np.searchsorted(known[row], docs[row, present])]
    return found
