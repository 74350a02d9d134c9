"""Who stands where on one suite: its cells best first, and the figures that reports quote."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reports.record import (
    Bound,
    Cell,
    ComparisonInfo,
    Cost,
    Example,
    PairInfo,
    Record,
    SuiteInfo,
    SystemInfo,
)

STAGES = ("encode", "search", "rerank", "context", "generate")
SAMPLES = {50: 1, 95: 100, 99: 500}
"""How many samples a percentile q needs, 5 / (1 - q), so that five lie beyond it."""

SHOWN_AS = {"RR": "MRR", "AP": "MAP"}
"""The names people look for, where the figure is a mean over queries."""


@dataclass(frozen=True)
class Standing:
    """The finished cells of a suite by headline measure, best first, and the failed ones.

    bounds: finished ones that are no candidates, but floors and ceilings, in the same order.
    """

    suite: SuiteInfo
    cells: tuple[Cell, ...]
    failed: tuple[Cell, ...]
    comparisons: tuple[ComparisonInfo, ...]
    examples: tuple[Example, ...]
    seed: int
    bounds: tuple[Cell, ...] = ()
    systems: Mapping[str, SystemInfo] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        return self.suite.measures[0]

    @property
    def columns(self) -> list[str]:
        """The measures as tables show them: Judged@k is always beside nDCG@k."""
        names: list[str] = []
        for measure in self.suite.measures:
            names += [measure]
            if found := re.fullmatch(r"nDCG(?:\(.*\))?(@\d+)", measure):
                names.append(f"Judged{found[1]}")
        return list(dict.fromkeys(names))

    @cached_property
    def kinds(self) -> dict[str, NDArray[np.int64]]:
        """The positions of the queries of each kind; empty unless there are at least two kinds."""
        kinds = np.array(self.suite.kinds, dtype=object)
        found = {kind: np.flatnonzero(kinds == kind) for kind in sorted(set(self.suite.kinds))}
        return found if len(found) > 1 else {}

    def comparison(self, measure: str) -> ComparisonInfo | None:
        return next((found for found in self.comparisons if found.measure == measure), None)

    def letters(self, measure: str, system: str) -> str:
        """The groups of *system*, "" where nothing was compared."""
        found = self.comparison(measure)
        return found.letters.get(system, "") if found else ""

    def pair(self, a: str, b: str) -> PairInfo | None:
        """The headline comparison of *a* and *b*, in whichever order it was made."""
        found = self.comparison(self.headline)
        pairs = found.pairs if found else ()
        return next((pair for pair in pairs if {pair.a, pair.b} == {a, b}), None)

    def tied(self) -> list[Cell]:
        """The cells other than the first that are not shown to differ from it."""
        first, *rest = ((cell, self.letters(self.headline, cell.system)) for cell in self.cells)
        return [cell for cell, letters in rest if set(letters) & set(first[1])]

    def bound_of(self, cell: Cell, kind: Bound) -> Cell | None:
        """What *cell*, with the same generator and context, is held against."""
        mine = answering(self.systems[cell.system])
        found = (one for one in self.bounds if one.bound == kind)
        return next((one for one in found if answering(self.systems[one.system]) == mine), None)


def answering(system: SystemInfo) -> tuple[object, ...]:
    """What makes answers of a ranking."""
    return system.generator, system.generator_params, system.context


def standings(record: Record) -> list[Standing]:
    """The standing on each suite of the record, in the order they ran."""
    return [standing(record, suite) for suite in record.suites]


def standing(record: Record, suite: SuiteInfo) -> Standing:
    """The standing on one suite; equal means keep the order of the names."""

    def mine(part: Cell | ComparisonInfo | Example) -> bool:
        return (part.suite, part.split) == (suite.name, suite.split)

    cells = list(filter(mine, record.cells))
    done = [cell for cell in cells if cell.status == "ok"]
    done.sort(key=lambda cell: (-mean(cell, suite.measures[0]), cell.system))
    finished = [cell for cell in done if cell.bound is None] or done
    return Standing(
        suite,
        tuple(finished),
        tuple(cell for cell in cells if cell.status == "failed"),
        tuple(filter(mine, record.comparisons)),
        tuple(filter(mine, record.examples)),
        record.seed,
        tuple(cell for cell in done if cell not in finished),
        {system.name: system for system in record.systems},
    )


def mean(cell: Cell, measure: str) -> float:
    return cell.means[measure]["mean"]


def percentile(cost: Cost, stage: str, percent: int) -> float | None:
    """Nanoseconds, linear between all raw samples of all rounds; None with too few of them."""
    samples = [ns for one in cost.latency_ns.get(stage, ()) for ns in one]
    return float(np.percentile(samples, percent)) if len(samples) >= SAMPLES[percent] else None


def average(cost: Cost, stage: str) -> float | None:
    """The mean of all raw samples of a stage in nanoseconds; None where there are none."""
    samples = [ns for one in cost.latency_ns.get(stage, ()) for ns in one]
    return float(np.mean(samples)) if samples else None


def median_ns(cell: Cell) -> float | None:
    """The median latency of a query, None where it was not measured."""
    return percentile(cell.cost, "total", 50) if cell.cost else None


def interval(values: Sequence[float], seed: int) -> tuple[float, float, float]:
    """Mean, low and high: 95 % percentile bootstrap over the queries of a slice.

    The record holds intervals over all queries only, and reports import nothing that makes them.
    """
    array = np.asarray(values, np.float64)
    drawn = np.random.default_rng(seed).integers(len(array), size=(2000, len(array)))
    low, high = np.quantile(array[drawn].mean(axis=1), [0.025, 0.975])
    return float(array.mean()), float(low), float(high)


def shown(measure: str) -> str:
    """A mean's name in tables: MRR@10 for RR@10."""
    name = re.split(r"[@(]", measure)[0]
    return SHOWN_AS.get(name, name) + measure.removeprefix(name)


def plot_name(kind: str, suite: SuiteInfo) -> str:
    """The name of one kind of plot of one suite, fit for a file."""
    parts = (kind, suite.name, suite.split)
    return ".".join(re.sub(r"[^A-Za-z0-9_-]+", "_", part) for part in parts)
