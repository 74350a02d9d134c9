"""The choice: of those that keep to the budget, the cheapest not shown to be worse than the best.

A *rival* of the best is a system that is not shown to differ from it: paired randomisation test on
the queries at hand, Holm's correction over all comparisons with the best, 5 %. Costs are told
apart where their 95 % intervals do not touch and they differ by more than a tenth: the intervals
are of one process, another start moves them further, and what was measured once has none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.choose.budget import GAINS, NO, QUANTITIES, UNKNOWN, UNSURE, YES, Amount, Budget
from bench.stats import holm, randomisation_p
from reports.record import Cell
from reports.summary import NOISE

ALPHA = 0.05
PERMUTATIONS = 100_000
Values = NDArray[np.float64]

ON, LIKELY, UNLIKELY, OFF = "yes", "yes, not shown", "no, not shown", "no"
"""Where a system stands on the front, which `front` explains."""


@dataclass(frozen=True)
class Candidate:
    """A system with its values, float64 (n_queries,), and costs; None where not measured."""

    name: str
    values: Values
    amounts: Mapping[str, Amount | None]

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def met(self, budgets: Iterable[Budget]) -> str:
        """The worst answer of any of the budgets: NO, UNKNOWN, UNSURE, YES."""
        answers = {budget.met(self.amounts.get(budget.quantity)) for budget in budgets}
        return next((one for one in (NO, UNKNOWN, UNSURE) if one in answers), YES)


@dataclass(frozen=True)
class Choice:
    """What was chosen and from what; names only.

    chosen: None where nothing keeps to the budgets. allowed: what was chosen from; best: the
    highest mean of them; rivals: those not shown to differ from it, itself included, cheapest
    first; p: by system, of its difference from the best, after Holm's correction.
    """

    chosen: str | None = None
    best: str | None = None
    rivals: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    p: Mapping[str, float] = field(default_factory=dict)

    @property
    def contenders(self) -> tuple[str, ...]:
        """What to try again on other queries: the chosen, its rivals, and the next behind them."""
        others = [name for name in self.allowed if name not in self.rivals]
        names = dict.fromkeys([self.chosen, *self.rivals, *others[:1]])
        return tuple(name for name in names if name is not None)


def candidates(
    cells: Iterable[Cell], measure: str, quantities: Iterable[str], seed: int
) -> list[Candidate]:
    """The finished cells as candidates with those quantities, best mean first."""
    names = list(dict.fromkeys(quantities))

    def amount(cell: Cell, name: str) -> Amount | None:
        if cell.cost is None:
            return None
        return QUANTITIES[name].measure(cell.cost, np.random.default_rng(seed))

    found = [
        Candidate(
            cell.system,
            np.array(cell.values[measure]),
            {name: amount(cell, name) for name in names},
        )
        for cell in cells
    ]
    return sorted(found, key=lambda one: (-one.mean, one.name))


def choose(
    found: Sequence[Candidate],
    budgets: Sequence[Budget],
    cost: str,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Choice:
    """The cheapest, by the quantity *cost*, of the rivals of the best that keep to the budgets.

    What keeps to them only within the noise is chosen from where nothing keeps to them for sure.
    Of rivals not shown to be dearer than the cheapest, the one with the highest mean. Where no
    cost is known that is the best. found: best mean first.
    """
    answers = {one.name: one.met(budgets) for one in found}
    allowed = [one for one in found if answers[one.name] == YES] or [
        one for one in found if answers[one.name] == UNSURE
    ]
    if not allowed:
        return Choice()
    best, *others = allowed
    enough = max(permutations, 100 * len(others))  # or Holm's correction would never let one go
    p = np.array([randomisation_p(best.values - one.values, rng, enough) for one in others])
    adjusted = {one.name: float(value) for one, value in zip(others, holm(p), strict=True)}
    rivals = [best, *(one for one in others if adjusted[one.name] > ALPHA)]
    rivals.sort(key=lambda one: price(one, cost))
    near = [one for one in rivals if not cheaper(rivals[0], one, cost)]
    return Choice(
        chosen=max(near, key=lambda one: one.mean).name,
        best=best.name,
        rivals=tuple(one.name for one in rivals),
        allowed=tuple(one.name for one in allowed),
        p=adjusted,
    )


def price(candidate: Candidate, cost: str) -> tuple[float, float]:
    """What a system is ordered by: its cost, unknown last, then quality, the better first."""
    amount = candidate.amounts.get(cost)
    value = np.inf if amount is None else -amount.value if cost in GAINS else amount.value
    return value, -candidate.mean


def cheaper(a: Candidate, b: Candidate, cost: str) -> bool:
    """Whether *a* is shown to be cheaper than *b*; also where only the cost of *b* is not known."""
    mine, theirs = a.amounts.get(cost), b.amounts.get(cost)
    if mine is None or theirs is None:
        return mine is not None and theirs is None
    less, more = (theirs, mine) if cost in GAINS else (mine, theirs)
    return less.high < more.low and NOISE * less.value < more.value


def front(
    found: Sequence[Candidate], cost: str, better: Collection[tuple[str, str]]
) -> dict[str, str]:
    """Where each system stands on the Pareto front of quality against *cost*.

    better: the pairs of which the first is shown to be better. OFF: one other is shown to be
    better and shown to be cheaper. ON: each other is shown to be worse or shown to be dearer.
    Between them by the measured figures alone: UNLIKELY where one other is at least as good and
    as cheap, and more so in one of the two, else LIKELY. Without the cost there is no key.
    """
    priced = [one for one in found if one.amounts.get(cost) is not None]
    answers = {}
    for one in priced:
        others = [other for other in priced if other is not one]
        if any((o.name, one.name) in better and cheaper(o, one, cost) for o in others):
            answers[one.name] = OFF
        elif all((one.name, o.name) in better or cheaper(one, o, cost) for o in others):
            answers[one.name] = ON
        else:
            mine = np.array(price(one, cost))
            beaten = any(_dominates(np.array(price(other, cost)), mine) for other in others)
            answers[one.name] = UNLIKELY if beaten else LIKELY
    return answers


def _dominates(a: Values, b: Values) -> bool:
    """Whether *a* is nowhere above *b*, and somewhere below."""
    return bool((a <= b).all() and (a < b).any())
