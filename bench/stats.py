"""How sure a mean is, and which differences between systems are real.

Queries are the sample: everything here treats them as drawn independently from the queries of
interest, so no interval or p-value says anything about other kinds of queries.
"""

import math
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import UsageError
from reports.record import PairInfo

Values = NDArray[np.float64]

EXACT = 16
"""Up to this many non-zero differences all 2**n sign patterns are enumerated."""

ROUNDING = 1e-12
"""Differences and sums closer than this (relative to their size) count as equal."""

BLOCK = 2**20
"""How many resampled queries are held at a time: about 25 MB."""

DRAWS = 2**28
"""Queries drawn for one interval at most: from 27,000 queries on there are fewer resamples."""

LABELS = string.ascii_letters + "".join(c for c in map(chr, range(0x3B1, 0x3000)) if c.islower())
"""One character a group, so that two displays can be compared letter by letter."""


class Interval(NamedTuple):
    """A mean with the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """All pairs of systems on one measure, the better one first, and what they amount to.

    letters: two systems share a letter where they are not shown to differ. detectable: the
    smallest difference that the typical pair could show, None with fewer than six queries.
    """

    pairs: tuple[PairInfo, ...]
    letters: dict[str, str]
    detectable: float | None


def bootstrap_mean(
    values: Values, rng: np.random.Generator, resamples: int = 10_000, level: float = 0.95
) -> Interval:
    """The mean of *values* (n,) with the percentile bootstrap interval over queries.

    With few queries the interval is too narrow: at n = 10 a nominal 95 % covers about 90 %, and
    values that are all equal give an interval of no width. From 30 queries on it is close.
    Source: Efron & Tibshirani 1993, chapter 13.
    """
    return _intervals(values[:, None], _resampled(values[:, None], rng, resamples), level)[0]


def paired_bootstrap(
    a: Values, b: Values, rng: np.random.Generator, resamples: int = 10_000, level: float = 0.95
) -> Interval:
    """The mean of a - b, (n,) each over the same queries, with its bootstrap interval."""
    return bootstrap_mean(a - b, rng, resamples, level)


def randomisation_p(
    differences: Values, rng: np.random.Generator, permutations: int = 100_000
) -> float:
    """The two-sided p-value of the paired randomisation test on *differences* (n,).

    How often the mean is at least as far from 0 when each difference's sign is a coin toss:
    exact with at most EXACT non-zero differences, otherwise (count + 1) / (permutations + 1) by
    Monte Carlo; never 0. Holds permutations float64 at a time, whatever n is.
    Source: Smucker, Allan & Carterette 2007, doi 10.1145/1321440.1321528.
    """
    nonzero = differences[np.abs(differences) > ROUNDING]
    observed = abs(nonzero.sum()) - ROUNDING * np.abs(nonzero).sum()
    if len(nonzero) <= EXACT:
        return float(np.mean(np.abs(_signed_sums(nonzero)) >= observed))
    sums = np.zeros(permutations)
    for start in range(0, len(nonzero), 8):  # a random byte is eight coin tosses
        table = _signed_sums(nonzero[start : start + 8])
        sums += table[rng.integers(len(table), size=permutations, dtype=np.uint8)]
    return float((np.sum(np.abs(sums) >= observed) + 1) / (permutations + 1))


def holm(p: Values) -> Values:
    """The p-values (m,) adjusted for testing m hypotheses; same order, at most 1.

    Source: Holm 1979, https://www.jstor.org/stable/4615733.
    """
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def letters(order: Sequence[str], different: Collection[tuple[str, str]]) -> dict[str, str]:
    """The compact letter display: two systems share a letter unless they are in *different*.

    order: systems best first, so that the first letters go to the best. different: unordered
    pairs. Source: insert-and-absorb, Piepho 2004, doi 10.1198/1061860043515.
    """
    groups = {frozenset(order)}
    for pair in different:
        split = {group for group in groups if group.issuperset(pair)}
        parts = {group - {system} for group in split for system in pair}
        groups = groups - split | parts
        groups -= {part for part in parts if any(part < group for group in groups)}
    rank = {system: place for place, system in enumerate(order)}
    ranked = sorted(groups, key=lambda group: sorted(rank[system] for system in group))
    return {
        system: "".join(LABELS[i] for i, group in enumerate(ranked) if system in group)
        for system in order
    }


def detectable(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The mean difference that n queries show with probability *power*, one pair tested alone.

    sd: standard deviation of the per-query differences. Normal approximation of the two-sided
    randomisation test, whose own spread comes from the squares of the differences as they are,
    the mean not taken off: solves d sqrt(n) = z(1 - alpha / 2) sqrt(sd^2 + d^2) + z(power) sd
    for d. None where no difference would do: with 5 queries p is never below .05. With Holm's
    correction over several pairs the true figure is larger.
    """
    normal = NormalDist()
    test, beyond = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    if 2.0 ** (1 - n) > alpha or n <= test**2:
        return None
    root = math.sqrt(n - test**2 + beyond**2)
    return sd * (beyond * math.sqrt(n) + test * root) / (n - test**2)


def compare_systems(
    values: Mapping[str, Values], rng: np.random.Generator, alpha: float = 0.05
) -> Comparison:
    """Every pair of systems on one measure, (n,) values each over the same queries.

    A pair is shown to differ where its Holm-adjusted p-value is at most *alpha*. The intervals
    are of each pair alone. Equal means keep the order given.
    """
    if len(values) < 2:
        raise UsageError(f"cannot compare {len(values)} system; expected at least 2")
    order = sorted(values, key=lambda system: -values[system].mean())
    chosen = list(combinations(order, 2))
    differences = np.column_stack([values[a] - values[b] for a, b in chosen])
    differences[np.abs(differences) <= ROUNDING] = 0.0
    n = len(differences)
    means = _resampled(np.column_stack([values[system] for system in order]), rng, 10_000)
    left, right = np.triu_indices(len(order), 1)
    intervals = _intervals(differences, means[:, left] - means[:, right], 0.95)
    p = np.array([randomisation_p(column, rng) for column in differences.T])
    adjusted = holm(p)
    pairs = tuple(
        PairInfo(
            *chosen[i],
            *intervals[i],
            p=float(p[i]),
            p_holm=float(adjusted[i]),
            wins=int(np.sum(column > 0)),
            ties=int(np.sum(column == 0)),
            losses=int(np.sum(column < 0)),
            detectable=detectable(float(column.std(ddof=1)), n) if n > 1 else None,
        )
        for i, column in enumerate(differences.T)
    )
    shown = [(pair.a, pair.b) for pair in pairs if pair.p_holm <= alpha]
    typical = float(np.median(differences.std(axis=0, ddof=1))) if n > 1 else None
    return Comparison(
        pairs, letters(order, shown), None if typical is None else detectable(typical, n)
    )


def _resampled(values: Values, rng: np.random.Generator, resamples: int) -> Values:
    """Means over resampled queries, (resamples, m), of values (n, m): one draw for all columns.

    With more than DRAWS / resamples queries there are fewer rows, at least 1,000.
    """
    n = len(values)
    resamples = min(resamples, max(1000, DRAWS // n))
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, max(1, BLOCK // n)):
        rows = min(max(1, BLOCK // n), resamples - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = counts @ values / n
    return means


def _intervals(values: Values, resampled: Values, level: float) -> list[Interval]:
    """Of each column its mean and percentile bounds; rounding never puts the mean outside."""
    means = values.mean(axis=0)
    lows, highs = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    lows, highs = np.minimum(lows, means), np.maximum(highs, means)
    return [Interval(*map(float, row)) for row in zip(means, lows, highs, strict=True)]


def _signed_sums(differences: Values) -> Values:
    """The sums under all sign patterns, (2**n,)."""
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums
