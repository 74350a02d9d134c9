"""Budgets such as `p95<=50ms`: what a system may cost, and whether it keeps to it."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from qrels.errors import UsageError, unknown
from reports.record import Cost
from reports.standing import SAMPLES
from reports.units import digits, duration

RESAMPLES = 2_000
TIMES = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}


class Amount(NamedTuple):
    """What a system takes of one quantity, with a 95 % interval where it was sampled."""

    value: float
    low: float
    high: float


class Quantity(NamedTuple):
    """Something that costs: its name in tables, its units, how it is had and how it is shown.

    units: by name the factor to the unit of *measure*; "" is that of a bare number.
    """

    title: str
    units: Mapping[str, float]
    measure: Callable[[Cost, np.random.Generator], Amount | None]
    shown: Callable[[float], str]


def latency(percent: int | None) -> Callable[[Cost, np.random.Generator], Amount | None]:
    """Nanoseconds of a query: a percentile over all samples, or the mean for None.

    The interval is a percentile bootstrap over the queries, all rounds of a query together. None
    where too few were sampled for the percentile.
    """

    def measure(cost: Cost, rng: np.random.Generator) -> Amount | None:
        samples = np.array(cost.latency_ns.get("total", ()), np.float64)
        if not samples.size or (percent and samples.size < SAMPLES[percent]):
            return None
        rows = rng.integers(samples.shape[1], size=(RESAMPLES, samples.shape[1]))
        drawn = samples.T[rows].reshape(RESAMPLES, -1)
        return Amount(
            float(_of(samples.ravel(), percent)),
            *map(float, np.quantile(_of(drawn, percent), [0.025, 0.975])),
        )

    return measure


def _of(samples: np.ndarray, percent: int | None) -> np.ndarray:
    found = samples.mean(-1) if percent is None else np.percentile(samples, percent, axis=-1)
    return np.asarray(found)


def once(
    value: Callable[[Cost], float | None],
) -> Callable[[Cost, np.random.Generator], Amount | None]:
    """A quantity that was measured once, and so has no interval."""

    def measure(cost: Cost, _: np.random.Generator) -> Amount | None:
        found = value(cost)
        return None if found is None else Amount(found, found, found)

    return measure


def _megabytes(value: float) -> str:
    return f"{digits(value)} MB"


QUANTITIES: Mapping[str, Quantity] = {
    **{
        name: Quantity(f"{name} latency", TIMES, latency(percent), duration)
        for name, percent in (("p50", 50), ("p95", 95), ("p99", 99), ("mean", None))
    },
    "index_mb": Quantity(
        "index",
        {"": 1.0},
        once(lambda cost: None if cost.index_bytes is None else cost.index_bytes / 1e6),
        _megabytes,
    ),
    "memory_mb": Quantity(
        "peak memory",
        {"": 1.0},
        once(lambda cost: max(0, cost.peak_rss_bytes - cost.import_rss_bytes) / 1e6),
        _megabytes,
    ),
    "build_s": Quantity("build", {"": 1e9}, once(lambda cost: cost.build_ns), duration),
    "encode_s": Quantity("encoding", {"": 1e9}, once(lambda cost: cost.encode_ns), duration),
    "qps": Quantity(
        "batch queries/s",
        {"": 1.0},
        once(lambda cost: cost.batch_queries / cost.batch_ns * 1e9 if cost.batch_ns else None),
        digits,
    ),
}
"""What budgets can be on, by name."""

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


class Budget(NamedTuple):
    """A limit on one quantity, in the unit that the quantity is measured in."""

    quantity: str
    operator: str
    limit: float

    def holds(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.limit)

    def met(self, amount: Amount | None) -> str:
        """yes, no, `unsure` where the interval crosses the limit, `unknown` where not measured."""
        if amount is None:
            return "unknown"
        if not self.holds(amount.value):
            return "no"
        return "yes" if self.holds(amount.low) and self.holds(amount.high) else "unsure"

    def __str__(self) -> str:
        return f"{self.quantity} {self.operator} {QUANTITIES[self.quantity].shown(self.limit)}"


_WRITTEN = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(\w*)\s*")


def parse_budget(text: str) -> Budget:
    """The budget written as `p95<=50ms`, `index_mb<=500` or `qps>=100`."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise UsageError(f"cannot read budget {text!r}; expected one such as p95<=50ms")
    name, sign, number, unit = found.groups()
    if name not in QUANTITIES:
        raise unknown("quantity of a budget", name, QUANTITIES)
    units = QUANTITIES[name].units
    if unit not in units:
        allowed = " or ".join(key or "no unit" for key in units)
        raise UsageError(f"budget {text!r}: unit {unit!r}; expected {allowed}")
    try:
        return Budget(name, sign, float(number) * units[unit])
    except ValueError:
        raise UsageError(f"budget {text!r}: {number!r} is not a number") from None
