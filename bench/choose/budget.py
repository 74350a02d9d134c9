"""Budgets such as `p95<=50ms`: what a system may cost, and whether it keeps to it."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import UsageError, unknown
from reports.record import Cost
from reports.standing import SAMPLES
from reports.units import digits, duration

RESAMPLES = 2_000
LATENCY_UNITS = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
DURATION_UNITS = {"": 1e9, "s": 1e9, "min": 60e9}
SIZE_UNITS = {"": 1.0, "MB": 1.0, "GB": 1e3}

YES, UNSURE, UNKNOWN, NO = "yes", "unsure", "unknown", "no"
"""Whether a budget is met; unsure: as measured, but its interval reaches beyond the limit."""


class Amount(NamedTuple):
    """What a system takes of one quantity, with a 95 % interval where it was sampled."""

    value: float
    low: float
    high: float


Measure = Callable[[Cost, np.random.Generator], Amount | None]


class Quantity(NamedTuple):
    """Something that costs: its name in tables, its units, how it is had and how it is shown.

    units: by name the factor to the unit of *measure*; "" is that of a bare number. axis: the
    unit in plots and its factor. samples: how many are needed, 0 where it is measured once.
    """

    title: str
    units: Mapping[str, float]
    axis: tuple[str, float]
    measure: Measure
    shown: Callable[[float], str]
    samples: int = 0


def latency(percent: int | None) -> Measure:
    """Nanoseconds of a query: a percentile over all samples, or the mean for None.

    The interval is a percentile bootstrap over the queries, all rounds of a query together. None
    where too few were sampled for the percentile.
    """

    def measure(cost: Cost, rng: np.random.Generator) -> Amount | None:
        samples = np.array(cost.latency_ns.get("total", ()), np.float64)
        if samples.size < _needed(percent):
            return None
        rows = rng.integers(samples.shape[1], size=(RESAMPLES, samples.shape[1]))
        drawn = samples.T[rows].reshape(RESAMPLES, -1)
        value = float(_of(samples.reshape(1, -1), percent)[0])
        low, high = np.quantile(_of(drawn, percent), [0.025, 0.975])
        return Amount(value, min(value, float(low)), max(value, float(high)))

    return measure


def _of(samples: NDArray[np.float64], percent: int | None) -> NDArray[np.float64]:
    found = samples.mean(-1) if percent is None else np.percentile(samples, percent, axis=-1)
    return np.asarray(found)


def _needed(percent: int | None) -> int:
    return 1 if percent is None else SAMPLES[percent]


def once(value: Callable[[Cost], float | None]) -> Measure:
    """A quantity that was measured once, and so has no interval."""

    def measure(cost: Cost, _: np.random.Generator) -> Amount | None:
        found = value(cost)
        return None if found is None else Amount(found, found, found)

    return measure


def _megabytes(value: float) -> str:
    return f"{digits(value)} MB"


QUANTITIES: Mapping[str, Quantity] = {
    **{
        name: Quantity(
            f"{name} latency", LATENCY_UNITS, ("ms", 1e6), latency(percent), duration,
            _needed(percent),
        )
        for name, percent in (("p50", 50), ("p95", 95), ("p99", 99), ("mean", None))
    },
    "index_mb": Quantity(
        "index",
        SIZE_UNITS,
        ("MB", 1.0),
        once(lambda cost: None if cost.index_bytes is None else cost.index_bytes / 1e6),
        _megabytes,
    ),
    "memory_mb": Quantity(
        "peak memory",
        SIZE_UNITS,
        ("MB", 1.0),
        once(lambda cost: max(0, cost.peak_rss_bytes - cost.import_rss_bytes) / 1e6),
        _megabytes,
    ),
    "build_s": Quantity(
        "build", DURATION_UNITS, ("s", 1e9), once(lambda cost: cost.build_ns), duration
    ),
    "encode_s": Quantity(
        "encoding", DURATION_UNITS, ("s", 1e9), once(lambda cost: cost.encode_ns), duration
    ),
    "qps": Quantity(
        "batch queries/s",
        {"": 1.0},
        ("", 1.0),
        once(lambda cost: cost.batch_queries / cost.batch_ns * 1e9 if cost.batch_ns else None),
        digits,
    ),
}  # fmt: skip
"""What budgets can be on, by name."""

GAINS = frozenset({"qps"})
"""The quantities of which more is better."""

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


class Budget(NamedTuple):
    """A limit on one quantity, in the unit that it is measured in; text is as it was written."""

    quantity: str
    operator: str
    limit: float
    text: str

    def holds(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.limit)

    def met(self, amount: Amount | None) -> str:
        """YES by the whole interval, UNSURE where it crosses the limit, NO, or UNKNOWN."""
        if amount is None:
            return UNKNOWN
        if not self.holds(amount.value):
            return NO
        return YES if self.holds(amount.low) and self.holds(amount.high) else UNSURE

    def excess(self, amount: Amount) -> float:
        """How many times over the limit (under it, for a least amount); 1 at the limit."""
        if self.operator.startswith("<"):
            return amount.value / self.limit
        return self.limit / amount.value if amount.value else math.inf


_WRITTEN = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([^\W\d]*)\s*")


def allowed() -> str:
    """What a budget can be, for messages and --help."""
    units: dict[tuple[str, ...], list[str]] = {}
    for name, quantity in QUANTITIES.items():
        units.setdefault(tuple(filter(None, quantity.units)), []).append(name)
    parts = [
        f"{', '.join(names)}" + (f" ({', '.join(unit)})" if unit else "")
        for unit, names in units.items()
    ]
    return f"{'; '.join(parts)}; with {' '.join(OPERATORS)}"


def parse_budget(text: str) -> Budget:
    """The budget written as `p95<=50ms`, `index_mb<=500` or `qps>=100`; else a UsageError."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise UsageError(
            f"cannot read budget {text!r}; expected one such as p95<=50ms: {allowed()}"
        )
    name, sign, number, unit = found.groups()
    if name not in QUANTITIES:
        raise unknown("quantity of a budget", name, QUANTITIES)
    units = QUANTITIES[name].units
    if unit not in units:
        either = " or ".join(key or "no unit" for key in units)
        raise UsageError(f"budget {text!r}: unit {unit!r}; expected {either}")
    try:
        limit = float(number) * units[unit]
    except ValueError:
        raise UsageError(f"budget {text!r}: {number!r} is not a number") from None
    if not 0 < limit < math.inf:
        raise UsageError(f"budget {text!r}: expected a limit above 0")
    return Budget(name, sign, limit, text.strip())
