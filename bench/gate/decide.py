"""The decision: no worse, worse, or cannot tell, from the differences per query.

With d = candidate - baseline per query and a margin m, the largest mean loss that one would put
up with:

    no worse      every d is 0, or the lower confidence bound of the mean of d is above -m
    worse         the mean of d is at or below -m, and the upper bound is below 0
    cannot tell   otherwise

Both bounds are one-sided, of level 1 - alpha each. Over several cells "all no worse" needs no
correction (each has to hold by itself); "some worse" is corrected by Holm's method.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.stats import ROUNDING, holm
from qrels.errors import DataError, UsageError

Values = NDArray[np.float64]
Verdict = Literal["no worse", "worse", "cannot tell"]

CORRELATION = 0.95
"""Between the values per query of a system and of a small change to it; for the default margin.

On `models`, nDCG@10 of bm25 against itself without stemming has .93, with another k1 or b at
least .98.
"""

LEAST_MARGIN = 0.001


@dataclass(frozen=True)
class Decision:
    """One cell's verdict and what led to it.

    mean, lower, upper: of d, the bounds one-sided. p: one-sided, that the mean is not below 0;
    adjusted where several cells were decided. sd: of d, as the lower bound has it. changed: how
    many d are not 0. needed: how many queries would likely settle it, None where it is settled.
    """

    verdict: Verdict
    mean: float
    lower: float
    upper: float
    p: float
    sd: float
    margin: float
    queries: int
    changed: int
    needed: int | None


def decide(d: Values, margin: float, alpha: float = 0.05, power: float = 0.8) -> Decision:
    """The verdict on the differences *d*, float64 (n,), of one cell.

    Bounds are Student's, with one imagined query more, as bad (for the lower bound) or as good
    (for the upper) as the worst or best of d: where few queries change, and mostly for the
    worse, Student's alone lets too many losses pass, by simulation two to three times as many
    as alpha says. Raises DataError for a NaN, and for fewer than two queries of which one changed:
    they have no spread; UsageError for a margin that is not positive.
    """
    if not len(d):
        raise DataError("there are no queries; a gate cannot pass on that")
    if not np.isfinite(d).all():
        raise DataError("a difference is NaN or infinite; a gate cannot pass on that")
    if not margin > 0:
        raise UsageError(f"margin {margin!r}; expected a number above 0")
    d = np.where(np.abs(d) <= ROUNDING, 0.0, d)
    mean, n, changed = float(d.mean()), len(d), int(np.count_nonzero(d))
    if not changed:
        return Decision("no worse", 0.0, 0.0, 0.0, 1.0, 0.0, margin, n, 0, None)
    if n < 2:
        raise DataError("one query changed and there is no other; a gate needs at least 2 queries")
    bad, good = np.append(d, min(d.min(), 0.0)), np.append(d, max(d.max(), 0.0))
    found = Decision(
        verdict="cannot tell",
        mean=mean,
        lower=min(mean, float(bad.mean()) - _reach(bad, alpha)),
        upper=max(mean, float(good.mean()) + _reach(good, alpha)),
        p=p_not_below(good),
        sd=float(bad.std(ddof=1)),
        margin=margin,
        queries=n,
        changed=changed,
        needed=None,
    )
    if found.lower > ROUNDING - margin:
        return replace(found, verdict="no worse")
    if mean <= ROUNDING - margin and found.upper < 0:
        return replace(found, verdict="worse")
    return replace(found, needed=queries_needed(found.sd, margin, alpha, power))


def decide_all(
    decisions: Sequence[Decision], alpha: float = 0.05, power: float = 0.8
) -> list[Decision]:
    """The same cells decided together: p adjusted, *worse* only where that is at most alpha.

    A cell that is worse by itself, but not after Holm's correction, cannot be told.
    """
    adjusted = holm(np.array([decision.p for decision in decisions]))
    together = [
        replace(decision, p=float(p)) for decision, p in zip(decisions, adjusted, strict=True)
    ]
    return [
        replace(
            found,
            verdict="cannot tell",
            needed=queries_needed(found.sd, found.margin, alpha, power),
        )
        if found.verdict == "worse" and found.p > alpha
        else found
        for found in together
    ]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Worse where any cell is, no worse where all are, else it cannot be told."""
    if "worse" in verdicts:
        return "worse"
    return "no worse" if set(verdicts) == {"no worse"} else "cannot tell"


def queries_needed(sd: float, margin: float, alpha: float, power: float) -> int:
    """How many queries show with probability *power* that no change is no worse by *margin*."""
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * sd / margin) ** 2)


def resolvable(values: Values, alpha: float = 0.05, power: float = 0.8) -> float:
    """The default margin: what this many queries can resolve, from the baseline's own values (n,).

    The standard deviation of d is taken as that of a small change, whose values correlate with
    the baseline's by CORRELATION: the candidate's own d has no say, since a candidate that does
    anything at all would widen its own margin. Rounded up to three decimals. DataError for fewer
    than two queries.
    """
    if len(values) < 2:
        raise DataError(f"{len(values)} query can resolve nothing; a gate needs at least 2 queries")
    sd = math.sqrt(2 * (1 - CORRELATION)) * float(values.std(ddof=1))
    normal = NormalDist()
    margin = (normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * sd / math.sqrt(len(values))
    return max(LEAST_MARGIN, math.ceil(margin * 1000) / 1000)


def p_not_below(d: Values) -> float:
    """Student's one-sided p-value of a mean of d that is not below 0."""
    from scipy.special import stdtr

    error = d.std(ddof=1) / math.sqrt(len(d))
    return float(stdtr(len(d) - 1, d.mean() / error)) if error else float(d.mean() >= 0)


def _reach(d: Values, alpha: float) -> float:
    """How far Student's one-sided bound of level 1 - alpha is from the mean."""
    from scipy.special import stdtrit

    return float(stdtrit(len(d) - 1, 1 - alpha) * d.std(ddof=1) / math.sqrt(len(d)))
