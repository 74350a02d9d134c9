"""The latency verdict: slower, no slower or cannot tell, from the noise of the same job.

Every fresh start runs three processes side by side: the baseline A, the baseline once more A',
and the candidate B. What A' differs from A by, and what a start differs from the next by, is
noise; a slow-down has to stand out of it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qrels.errors import DataError

Verdict = Literal["no slower", "slower", "cannot tell"]
Levels = NDArray[np.float64]

LEAST = 0.05
"""A slow-down of less never fails. Where a program lies in memory moves its speed by some per
cent, and another tree lies elsewhere (Mytkowicz et al. 2009, doi:10.1145/1508244.1508275); that
the starts of one job do not show. A smaller --max-slowdown lowers it."""

QUARTILE = 0.25
"""Of the rounds, per query. On a busy 2-core machine, bm25, 24 rounds, 155 starts, this spread
least from start to start: sd 0.95 %, the minimum 1.3 %, the median 1.2 %, with outliers."""


@dataclass(frozen=True)
class Speed:
    """What was decided, all as shares of the baseline: 0.1 is 10 % slower.

    slowdown: the estimate, lower and upper its one-sided bounds. p: one-sided, that it is not
    slower, times the size of the family. copies: how much slower the baseline's copy seemed.
    noise: the slow-down that noise alone passes with probability alpha; floor: from where on it
    is called slower. visible: the true slow-down called slower with the probability of *power*.
    """

    verdict: Verdict
    slowdown: float
    lower: float
    upper: float
    p: float
    copies: float
    noise: float
    floor: float
    visible: float


def level(latency_ns: NDArray[np.int64]) -> float:
    """The log of the typical latency: lower quartile over rounds, geometric mean over queries.

    latency_ns: int64 (rounds, queries). A mean, so that a few queries that became slow show.
    """
    return float(np.log(np.maximum(np.quantile(latency_ns, QUARTILE, axis=0), 1.0)).mean())


def decide_speed(
    levels: Levels,
    max_slowdown: float = 0.2,
    alpha: float = 0.02,
    power: float = 0.8,
    family: int = 1,
) -> Speed:
    """The verdict on *levels*, float64 (starts, 3): of A, A' and B.

        slower        the slow-down is above the floor, so above the noise and above LEAST
        no slower     its upper bound is below max_slowdown
        cannot tell   otherwise

    Student's t with 2 * starts - 1 degrees of freedom: starts - 1 of B against the mean of its
    two baselines, and one a start of A' against A, which have no slow-down between them by
    design. *family* systems decided together share alpha for *slower*. Raises DataError for
    fewer than two starts.
    """
    from scipy.special import stdtr, stdtrit  # heavy

    starts = len(levels)
    if starts < 2:
        raise DataError("a latency gate needs at least 2 starts; more give a smaller floor")
    slow = levels[:, 2] - levels[:, :2].mean(axis=1)
    copies = levels[:, 1] - levels[:, 0]
    freedom = 2 * starts - 1
    squares = ((slow - slow.mean()) ** 2).sum() / 1.5 + (copies**2).sum() / 2
    error = max(float(np.sqrt(1.5 * squares / freedom / starts)), np.finfo(float).tiny)
    mean, noise = float(slow.mean()), float(stdtrit(freedom, 1 - alpha / family)) * error
    floor = max(noise, float(np.log1p(min(LEAST, max_slowdown))))
    upper = mean + float(stdtrit(freedom, 1 - alpha)) * error
    verdict: Verdict = "cannot tell"
    if mean > floor:
        verdict = "slower"
    elif upper < np.log1p(max_slowdown):
        verdict = "no slower"
    return Speed(
        verdict,
        slowdown=share(mean),
        lower=share(mean - noise),
        upper=share(upper),
        p=min(1.0, family * float(stdtr(freedom, -mean / error))),
        copies=share(float(copies.mean())),
        noise=share(noise),
        floor=share(floor),
        visible=share(floor + float(stdtrit(freedom, power)) * error),
    )


def share(log_ratio: float) -> float:
    """exp(x) - 1, and not beyond what JSON holds."""
    return float(np.expm1(min(log_ratio, 50.0)))
