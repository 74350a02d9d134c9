"""The choice: of those that keep to the budget, the cheapest not shown to be worse than the best.

A *rival* of the best is a system that is not shown to differ from it: paired randomisation test on
the queries at hand, Holm's correction over all comparisons with the best, 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.choose.budget import QUANTITIES, Amount, Budget
from bench.stats import Interval, bootstrap_mean, holm, paired_bootstrap, randomisation_p
from reports.record import Cell

ALPHA = 0.05
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A system with its quality per query and what it costs, None where that was not measured."""

    name: str
    values: Values
    quality: Interval
    amounts: Mapping[str, Amount | None]

    def met(self, budgets: Sequence[Budget]) -> str:
        """yes, unsure, unknown or no: the worst answer of any of the budgets."""
        answers = {budget.met(self.amounts.get(budget.quantity)) for budget in budgets}
        return next((one for one in ("no", "unknown", "unsure") if one in answers), "yes")


@dataclass(frozen=True)
class Choice:
    """What was chosen and from what; names only.

    chosen: None where nothing keeps to the budgets. best: the highest mean of those that do;
    rivals: those not shown to differ from it, itself included, cheapest first.
    """

    chosen: str | None
    best: str | None
    rivals: tuple[str, ...]


def candidates(cells: Sequence[Cell], measure: str, seed: int) -> list[Candidate]:
    """The finished cells as candidates, best mean first."""
    found = []
    for cell in cells:
        values = np.array(cell.values[measure])
        found.append(
            Candidate(
                cell.system,
                values,
                bootstrap_mean(values, np.random.default_rng(seed)),
                {
                    name: quantity.measure(cell.cost, np.random.default_rng(seed))
                    if cell.cost
                    else None
                    for name, quantity in QUANTITIES.items()
                },
            )
        )
    return sorted(found, key=lambda one: -one.quality.mean)


def choose(
    found: Sequence[Candidate],
    budgets: Sequence[Budget],
    cost: str,
    rng: np.random.Generator,
    permutations: int = 100_000,
) -> Choice:
    """The cheapest, by the quantity *cost*, of the rivals of the best that keep to the budgets."""
    allowed = [one for one in found if one.met(budgets) in ("yes", "unsure")]
    if not allowed:
        return Choice(None, None, ())
    best = max(allowed, key=lambda one: one.quality.mean)
    others = [one for one in allowed if one is not best]
    p = [randomisation_p(best.values - one.values, rng, permutations) for one in others]
    adjusted = holm(np.array(p))
    rivals = [best, *(one for one, value in zip(others, adjusted, strict=True) if value > ALPHA)]
    rivals.sort(key=lambda one: price(one, cost))
    return Choice(rivals[0].name, best.name, tuple(one.name for one in rivals))


def price(candidate: Candidate, cost: str) -> tuple[float, float]:
    """What a system is ordered by: its cost, unknown last, then quality, the better first."""
    amount = candidate.amounts.get(cost)
    value = np.inf if amount is None else amount.value
    return (-value if cost == "qps" else value), -candidate.quality.mean


def front(found: Sequence[Candidate], cost: str, rng: np.random.Generator) -> dict[str, str]:
    """Where each system stands on the Pareto front of quality against *cost*.

    yes: none is as good and as cheap, and better in one of the two, by mean and measured cost.
    no: another is surely better (shown by Holm-corrected tests over all pairs) and surely
    cheaper (the intervals of the costs do not touch). perhaps: neither. Unmeasured costs: no key.
    """
    priced = [one for one in found if one.amounts.get(cost) is not None]
    pairs = [(a, b) for a in priced for b in priced if a.quality.mean > b.quality.mean]
    p = [randomisation_p(a.values - b.values, rng, 10_000) for a, b in pairs]
    adjusted = holm(np.array(p))
    better = {
        (a.name, b.name) for (a, b), value in zip(pairs, adjusted, strict=True) if value <= ALPHA
    }
    sign = -1 if cost == "qps" else 1
    answers = {}
    for one in priced:
        mine = _amount(one, cost)
        beaten = surely = False
        for other in priced:
            theirs = _amount(other, cost)
            cheaper = sign * theirs.value <= sign * mine.value
            as_good = other.quality.mean >= one.quality.mean
            differs = (theirs.value, other.quality.mean) != (mine.value, one.quality.mean)
            beaten |= cheaper and as_good and differs
            apart = theirs.low > mine.high if sign < 0 else theirs.high < mine.low
            surely |= apart and (other.name, one.name) in better
        answers[one.name] = "no" if surely else "perhaps" if beaten else "yes"
    return answers


def _amount(candidate: Candidate, cost: str) -> Amount:
    amount = candidate.amounts[cost]
    assert amount is not None  # callers ask for those that were measured
    return amount


@dataclass(frozen=True)
class Optimism:
    """How much better the chosen looked where it was chosen than elsewhere.

    how: where elsewhere is. seen, held: mean on the queries chosen on and on the others;
    difference with its interval, of seen - held. stable: how often the same system was chosen,
    or None. rivals: on the held-out queries, each rival's mean less that of the chosen.
    """

    how: str
    seen: float
    held: float
    difference: Interval
    stable: float | None
    rivals: Mapping[str, Interval]


def confirmed(
    chosen: str, found: Sequence[Candidate], held: Mapping[str, Values], how: str, seed: int
) -> Optimism:
    """The chosen system on queries that had no part in the choice. held: their values by system."""
    seen = next(one for one in found if one.name == chosen)
    rng = np.random.default_rng(seed)
    other = held[chosen]
    draws = [
        values[rng.integers(len(values), size=(10_000, len(values)))].mean(axis=1)
        for values in (seen.values, other)
    ]
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    mean = float(seen.values.mean() - other.mean())
    return Optimism(
        how=how,
        seen=float(seen.values.mean()),
        held=float(other.mean()),
        difference=Interval(mean, min(float(low), mean), max(float(high), mean)),
        stable=None,
        rivals={
            name: paired_bootstrap(values, other, np.random.default_rng(seed))
            for name, values in held.items()
            if name != chosen
        },
    )


FOLDS, REPEATS = 5, 10


def cross_validated(
    found: Sequence[Candidate], budgets: Sequence[Budget], cost: str, chosen: str, seed: int
) -> Optimism | None:
    """The same by choosing on four fifths of the queries and looking at the fifth, ten times over.

    The choice is made anew each time, by the same rule; None with fewer than ten queries. The
    interval is over the 50 folds, which share queries: it is a spread, not a confidence interval.
    """
    n = len(found[0].values)
    if n < 2 * FOLDS:
        return None
    rng = np.random.default_rng(seed)
    gaps, held, same = [], [], 0
    for _ in range(REPEATS):
        for fold in np.array_split(rng.permutation(n), FOLDS):
            kept = np.setdiff1d(np.arange(n), fold)
            part = [_on(one, kept) for one in found]
            name = choose(part, budgets, cost, rng, permutations=2_000).chosen
            assert name is not None  # budgets do not depend on the queries chosen on
            values = next(one.values for one in found if one.name == name)
            gaps.append(values[kept].mean() - values[fold].mean())
            held.append(values[fold].mean())
            same += name == chosen
    low, high = np.quantile(gaps, [0.025, 0.975])
    seen = next(one for one in found if one.name == chosen).quality.mean
    return Optimism(
        how=f"{REPEATS} x {FOLDS}-fold cross-validation",
        seen=seen,
        held=float(np.mean(held)),
        difference=Interval(float(np.mean(gaps)), float(low), float(high)),
        stable=same / (FOLDS * REPEATS),
        rivals={},
    )


def _on(candidate: Candidate, rows: NDArray[np.int64]) -> Candidate:
    """The candidate on some of the queries; its interval is not looked at."""
    values = candidate.values[rows]
    mean = float(values.mean())
    return Candidate(candidate.name, values, Interval(mean, mean, mean), candidate.amounts)
