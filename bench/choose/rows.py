"""The lines of the page: each system, how far it is from the budget, what its stages do."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bench.choose.budget import NO, QUANTITIES, Amount, Budget
from bench.choose.decide import Candidate, Choice, Values
from bench.stats import bootstrap_mean, paired_bootstrap
from reports.choice import BEST, OUT, RIVAL, WORSE, Considered, Stage, Taken
from reports.record import Cell
from reports.standing import STAGES, percentile
from reports.table import code
from reports.units import digits, duration


def considered(
    one: Candidate,
    interval: Mapping[str, float],
    chosen: Values | None,
    budgets: Sequence[Budget],
    choice: Choice,
    front: str,
    seed: int,
) -> Considered:
    """One system as the page shows it; chosen: the values of what was chosen, over its queries."""
    against = None
    if chosen is not None and one.name != choice.chosen:
        against = paired_bootstrap(one.values, chosen, np.random.default_rng(seed))
    groups = {name: RIVAL if name in choice.rivals else WORSE for name in choice.allowed}
    return Considered(
        name=one.name,
        mean=one.mean,
        low=interval["low"],
        high=interval["high"],
        amounts={
            name: taken(name, amount) for name, amount in one.amounts.items() if amount is not None
        },
        met=one.met(budgets),
        front=front,
        group=BEST if one.name == choice.best else groups.get(one.name, OUT),
        p=choice.p.get(one.name),
        against=against,
    )


def taken(name: str, amount: Amount) -> Taken:
    """An amount in the unit of its axis, and as text."""
    quantity = QUANTITIES[name]
    unit, factor = quantity.axis
    text = quantity.shown(amount.value)
    if amount.low < amount.high:
        text += f" [{quantity.shown(amount.low)}, {quantity.shown(amount.high)}]"
    value, low, high = (bound / factor for bound in amount)
    return Taken(quantity.title, unit, value, low, high, text)


def misses(found: Iterable[Candidate], budgets: Sequence[Budget]) -> list[tuple[str, str]]:
    """Of each system by how much it fails, as Markdown, the nearest first: by its worst failure."""
    rows = []
    for one in found:
        far, texts = 1.0, []
        for budget in budgets:
            amount = one.amounts[budget.quantity]
            answer = budget.met(amount)
            if amount is None:
                far = np.inf
                texts.append(f"{budget.quantity} was not measured, for {code(budget.text)}")
            elif answer == NO:
                far = max(far, budget.excess(amount))
                texts.append(_miss(budget, amount))
        rows.append((far, -one.mean, one.name, "; ".join(texts)))
    return [(name, text) for _, _, name, text in sorted(rows)]


def _miss(budget: Budget, amount: Amount) -> str:
    quantity = QUANTITIES[budget.quantity]
    excess = budget.excess(amount)
    far = f"{100 * excess - 100:.0f} % over" if excess < 2 else f"{digits(excess)} times"
    if budget.operator.startswith(">"):
        far = f"{100 - 100 / excess:.0f} % under"
    return (
        f"{quantity.title} is {quantity.shown(amount.value)}, {far} the limit {code(budget.text)}"
    )


def stage(cell: Cell, depth: int, measure: str, seed: int) -> Stage:
    """What the stages of one system give and take."""
    first = np.array(cell.first_stage.get(measure, ()))
    ceiling = np.array(cell.ceiling.get(measure, ()))
    values = np.array(cell.values[measure])
    rng = np.random.default_rng(seed)
    return Stage(
        name=cell.system,
        first=float(first.mean()) if first.size else None,
        adds=paired_bootstrap(values, first, rng) if first.size else None,
        ceiling=bootstrap_mean(ceiling, rng) if ceiling.size else None,
        depth=depth,
        costs={
            name: duration(ns)
            for name in STAGES
            if cell.cost and (ns := percentile(cell.cost, name, 50)) is not None
        },
    )
