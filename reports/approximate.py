"""What approximate search finds of the exact ranking, and when building it has paid back."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.record import Cell, Cost, ExactInfo
from reports.standing import Standing, interval
from reports.table import escape, markdown
from reports.units import NONE, bounds, count, digits, duration, figure

HOW = (
    "Recall is the share of the exact ranking's first documents that is found, over {queries}, "
    "with 95 % bootstrap intervals. Exact search over the same vectors was timed in the same "
    "process with the same queries, one at a time. The build has *paid back* after as many queries "
    "as make up for what it takes longer; the interval is a bootstrap over queries."
)


def approximate(standing: Standing) -> str:
    """Recall, settings and pay-back of each approximate retriever; "" where there is none."""
    found = [
        (cell, cell.cost, cell.cost.exact)
        for cell in standing.cells
        if cell.cost is not None and cell.cost.exact is not None
    ]
    if not found:
        return ""
    cutoffs = sorted({cutoff for _, _, exact in found for cutoff in exact.recall}, key=int)
    header = ["system", "settings", *(f"recall@{cutoff}" for cutoff in cutoffs), "search",
              "exact search", "build", "pays back after"]  # fmt: skip
    rows = [_row(*one, cutoffs, standing.seed) for one in found]
    sampled = max(len(values) for _, _, exact in found for values in exact.recall.values())
    table = markdown(header, rows, "ll" + "r" * (len(header) - 2))
    return f"{table}\n\n{HOW.format(queries=count(sampled, 'query'))}"


def _row(cell: Cell, cost: Cost, exact: ExactInfo, cutoffs: Sequence[str], seed: int) -> list[str]:
    settings = ", ".join(f"{name} {_shown(value)}" for name, value in exact.about.items())
    mine, other = _typical(cost.latency_ns["search"]), _typical(exact.search_ns)
    return [
        escape(cell.system),
        escape(settings),
        *(_recall(exact.recall.get(cutoff, ()), seed) for cutoff in cutoffs),
        duration(float(mine.mean())),
        duration(float(other.mean())),
        duration(cost.build_ns),
        _paid_back(cost.build_ns - exact.build_ns, other - mine, seed),
    ]


def _shown(value: object) -> str:
    return digits(value) if isinstance(value, float) else str(value)


def _recall(values: Sequence[float], seed: int) -> str:
    if not values:
        return NONE
    mean, low, high = interval(values, seed)
    return f"{figure(mean)} {bounds(low, high)}"


def _typical(samples: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Nanoseconds of each query, float64 (n_queries,): the median over rounds."""
    return np.median(np.asarray(samples, np.float64), axis=0)


def pays_back(longer_ns: float, saved_ns: float) -> float:
    """After how many queries, each *saved_ns* sooner, a build that takes *longer_ns* more pays."""
    if saved_ns <= 0:
        return math.inf
    return max(0.0, math.ceil(longer_ns / saved_ns))


def _paid_back(longer_ns: float, saved_ns: NDArray[np.float64], seed: int) -> str:
    """The number of queries with its interval; saved_ns: float64 (n_queries,)."""
    mean, low, high = (pays_back(longer_ns, saved) for saved in interval(saved_ns.tolist(), seed))
    if mean == low == high:
        return _queries(mean)
    return f"{_queries(mean)} [{_number(high)}, {_number(low)}]"


def _queries(number: float) -> str:
    return {0.0: "at once", math.inf: "never"}.get(number) or f"{number:,.0f} queries"


def _number(number: float) -> str:
    return "never" if number == math.inf else f"{number:,.0f}"
