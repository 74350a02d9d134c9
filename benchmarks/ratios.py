"""From timings to ratios: how many times our time a peer takes, and whether that was promised."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.common import Mark, Result, Timing

RESAMPLES = 2000


class Ratio(NamedTuple):
    """The peer's time over ours: the median over rounds, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Verdict(NamedTuple):
    """A mark and what was found; ratio is None where a side was not measured."""

    mark: Mark
    ratio: Ratio | None

    @property
    def met(self) -> bool | None:
        return None if self.ratio is None else self.ratio.value >= self.mark.promised

    @property
    def collapsed(self) -> bool:
        """Less than half of what was promised, beyond the noise of the rounds."""
        return self.ratio is not None and self.ratio.high < self.mark.promised / 2


def ratio(ours: Timing, peer: Timing, seed: int = 0) -> Ratio:
    """Round by round where the rounds are the same, so that what both met falls out."""
    mine, other = np.array(ours.seconds) / ours.units, np.array(peer.seconds) / peer.units
    if len(mine) != len(other):
        found = np.median(other) / np.median(mine)
        return Ratio(float(found), float(other.min() / mine.max()), float(other.max() / mine.min()))
    each = other / mine
    drawn = np.random.default_rng(seed).integers(0, len(each), (RESAMPLES, len(each)))
    low, high = np.quantile(np.median(each[drawn], axis=1), [0.025, 0.975])
    return Ratio(float(np.median(each)), float(low), float(high))


def verdicts(result: Result) -> list[Verdict]:
    """Each mark with what was found for it."""
    found = by_work(result.timings)
    return [Verdict(mark, _between(found.get(mark.work, {}), mark)) for mark in result.marks]


def _between(sides: Mapping[str, Timing], mark: Mark) -> Ratio | None:
    if mark.ours not in sides or mark.peer not in sides:
        return None
    return ratio(sides[mark.ours], sides[mark.peer])


def by_work(timings: Sequence[Timing]) -> dict[str, dict[str, Timing]]:
    """The timings of each piece of work by side, in order."""
    found: dict[str, dict[str, Timing]] = {}
    for timing in timings:
        found.setdefault(timing.work, {})[timing.side] = timing
    return found
