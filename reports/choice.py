"""What `bench choose` has to say, and its recommendation in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reports.standing import shown
from reports.summary import listed, strong
from reports.table import code, escape
from reports.units import bounds, count, figure, p_is, signed

Triple = tuple[float, float, float]
"""A figure with the bounds of its 95 % interval."""

BEST, RIVAL, WORSE, OUT = "best", "not shown to differ", "shown to be worse", ""
"""How a system stands to the best of those that keep to the budget; OUT: it does not keep to it."""


@dataclass(frozen=True)
class Taken:
    """What a system takes of one quantity; low and high are the value where it is measured once."""

    title: str
    unit: str
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Considered:
    """One system: quality with its interval, costs by quantity, and where it stands.

    met: yes, unsure (as measured, but the interval reaches beyond the limit), unknown or no.
    front: "" where the cost is not known. p: of the difference from the best, after Holm's
    correction. against: its mean less that of the chosen, None for the chosen itself.
    """

    name: str
    mean: float
    low: float
    high: float
    amounts: Mapping[str, Taken]
    met: str
    front: str
    group: str
    p: float | None
    against: Triple | None


@dataclass(frozen=True)
class Stage:
    """What each stage of a system gives and takes; None where there is no such stage or figure.

    first: the retriever alone; adds: what the reranker adds; ceiling: the best order of what the
    reranker sees; costs: the median of each stage as text.
    """

    name: str
    first: float | None
    adds: Triple | None
    ceiling: Triple | None
    depth: int
    costs: Mapping[str, str]


@dataclass(frozen=True)
class Contender:
    """A system on the queries that the choice was not made on.

    seen, held: its mean where the choice was made and there; optimism: the one less the other;
    against: its mean there less that of the chosen; p: of that, after Holm's correction.
    """

    name: str
    seen: float
    held: Triple
    optimism: Triple
    against: Triple | None
    p: float | None


@dataclass(frozen=True)
class Confirmation:
    """The choice on queries that had no part in it.

    where: the suite and split of other queries, None where the choice was cross-validated.
    optimism: the mean where it was chosen less the mean on others. lead: how much of its lead over
    the other contenders was lost, None without any. On other queries: contenders, the chosen
    first. By cross-validation: picks, the share of folds that chose each; seen, held: the means.
    """

    where: str | None
    queries: int
    optimism: Triple
    lead: Triple | None = None
    contenders: tuple[Contender, ...] = ()
    picks: Mapping[str, float] = field(default_factory=dict)
    seen: float | None = None
    held: float | None = None


@dataclass(frozen=True)
class ChoiceReport:
    """Everything that was found on one suite; chosen is None where nothing keeps to the budgets.

    order: the quantity that systems are ordered by, limit: the budget on it in the unit of its
    amounts; titles: of every quantity shown, in order. cheapest: of those not shown to differ from
    the best. misses: by how much each system fails the budgets, the nearest first. notes: what
    else to know. failed: by system the reason.
    """

    suite: str
    split: str
    queries: int
    measure: str
    budgets: tuple[str, ...]
    order: str
    limit: float | None
    titles: Mapping[str, str]
    chosen: str | None
    best: str | None
    cheapest: str | None
    considered: tuple[Considered, ...]
    misses: tuple[tuple[str, str], ...]
    confirmation: Confirmation | None
    stages: tuple[Stage, ...]
    failed: Mapping[str, str]
    notes: tuple[str, ...]
    command: str
    toml: str

    def one(self, name: str | None) -> Considered:
        return next(one for one in self.considered if one.name == name)

    @property
    def rivals(self) -> list[Considered]:
        """The best and those not shown to differ from it."""
        return [one for one in self.considered if one.group in (BEST, RIVAL)]

    @property
    def allowed(self) -> list[Considered]:
        """What was chosen from."""
        return [one for one in self.considered if one.group != OUT]


def sentence(report: ChoiceReport) -> str:
    """The recommendation with its reason, as Markdown on one line."""
    on = f"on {escape(report.suite)} ({escape(report.split)}), {count(report.queries, 'query')}"
    budgets = " and ".join(map(code, report.budgets))
    if report.chosen is None:
        name, miss = report.misses[0]
        return (
            f"**Nothing keeps to the budget** of {budgets} {on}: none of "
            f"{count(len(report.considered), 'system')}. The nearest is {strong(name)}: {miss}."
        )
    chosen = report.one(report.chosen)
    quality = f"{shown(report.measure)} {figure(chosen.mean)} {bounds(chosen.low, chosen.high)}"
    price = f" at {taken.text} ({taken.title})" if (taken := _price(report, chosen)) else ""
    reason = _reason(report, chosen, budgets)
    return f"Ship {strong(chosen.name)}: {reason}. It has {quality}{price} {on}."


def _reason(report: ChoiceReport, chosen: Considered, budgets: str) -> str:
    measure, allowed, rivals = shown(report.measure), report.allowed, report.rivals
    unsure = any(one.met == "unsure" for one in report.considered)
    sure = " for sure" if unsure and chosen.met == "yes" else ""
    if len(report.considered) == 1:
        return "there is no other to choose from"
    if len(allowed) == 1:
        return f"alone of {count(len(report.considered), 'system')}, it keeps to {budgets}{sure}"
    kept = f" that keep to {budgets}{sure}" if budgets else ""
    several = f"of the {len(allowed)} systems{kept}"
    highest = f"{several} it has the highest {measure}"
    if len(rivals) == 1:
        return f"{highest}, and {_each(len(allowed) - 1)} shown to be worse"
    if _price(report, chosen) is None:
        return f"{highest}; which of them is cheap is not known, as costs were not measured"
    if chosen.name == report.best:
        return (
            f"{highest}, and of the {len(rivals)} not shown to differ in it none is shown cheaper"
        )
    cheap = (
        "this is the cheapest"
        if chosen.name == report.cheapest
        else "this has the highest among those not shown to be dearer than the cheapest, "
        f"{strong(report.one(report.cheapest).name)}"
    )
    return (
        f"{several}, {strong(report.one(report.best).name)} has the highest {measure}; "
        f"{len(rivals)} are not shown to differ in it, and of these {cheap}"
    )


def _each(others: int) -> str:
    return "the other is" if others == 1 else "each of the others is"


def _price(report: ChoiceReport, one: Considered) -> Taken | None:
    return one.amounts.get(report.order)


MISSES = {
    "no": "does not keep to the budget",
    "unsure": "keeps to the budget only within the noise",
    "unknown": "has a budgeted cost that was not measured",
}


def caveats(report: ChoiceReport) -> list[str]:
    """What to know before following the recommendation, a sentence or two each."""
    if report.chosen is None:
        return [escape(note) for note in report.notes]
    found = []
    chosen, best, top = report.one(report.chosen), report.one(report.best), report.considered[0]
    if chosen.met == "unsure":
        found.append(
            "It keeps to the budget only within the noise: the interval of its cost reaches beyond "
            "the limit, and nothing keeps to it for sure."
        )
    if best is not chosen and best.against:
        found.append(
            f"By taking it over {strong(best.name)} ({_at(report, best)}) you give up "
            f"{_gap(best.against, chosen.p)}; these queries do not rule out a loss of up to "
            f"{figure(max(0.0, best.against[2]))}."
        )
    if top.group == OUT and top.against:
        found.append(
            f"{strong(top.name)} has a higher mean, by {_gap(top.against, None)}, but "
            f"{MISSES[top.met]}: {_at(report, top)}."
        )
    return [*found, *map(escape, report.notes)]


def _at(report: ChoiceReport, one: Considered) -> str:
    return taken.text if (taken := _price(report, one)) else "its cost is not known"


def _gap(found: Triple, p: float | None) -> str:
    value, *interval = found
    test = "" if p is None else f", {p_is(p)}"
    return f"{figure(value)} (95 % interval {bounds(*interval)}{test})"


def confirmed(report: ChoiceReport) -> str:
    """What other queries say of the choice, in words; "" where nothing was chosen."""
    found = report.confirmation
    if found is None:
        nothing = report.chosen is None or len(report.considered) < 2
        return "" if nothing else "The choice is not confirmed on other queries."
    if found.where is None:
        return _folds(found)
    chosen, *others = found.contenders
    better = [o.name for o in others if o.against and o.against[0] > 0 and (o.p or 0) <= 0.05]
    where = f"{escape(found.where)} ({count(found.queries, 'query')})"
    if better:
        verb = "are" if len(better) > 1 else "is"
        verdict = f"**The choice does not hold on {where}**: {listed(better)} {verb} shown better."
    elif others:
        verdict = f"**The choice holds on {where}**: no contender is shown to be better there."
    else:
        verdict = f"On {where} there is no contender to try it against."
    drop = (
        f"Its mean is {figure(chosen.held[0])} there and was {figure(chosen.seen)} where it was "
        f"chosen: optimism {signed(found.optimism[0])} {bounds(*found.optimism[1:])}."
    )
    lead = (
        f"Part of that may be harder or easier queries, which all systems share; of its lead over "
        f"the other contenders it lost {signed(found.lead[0])} {bounds(*found.lead[1:])}."
        if found.lead
        else ""
    )
    return " ".join(filter(None, (verdict, drop, lead)))


def _folds(found: Confirmation) -> str:
    assert found.seen is not None  # a cross-validation has both
    assert found.held is not None
    picks = ", ".join(f"{strong(name)} {100 * part:.0f} %" for name, part in found.picks.items())
    return (
        "There is no other split to confirm on, so the same rule chose again on four fifths of "
        f"the queries and was looked at on the fifth, ten times over: {figure(found.seen)} where "
        f"it chose, {figure(found.held)} on the rest, optimism {signed(found.optimism[0])} "
        f"{bounds(*found.optimism[1:])} (over queries, the choices held fixed). "
        f"How often it chose each: {picks}."
        + (
            " Fewer queries show fewer differences, which favours cheap systems."
            if len(found.picks) > 1
            else ""
        )
    )
