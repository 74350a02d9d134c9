"""The page of `bench choose`: what to ship and why, then what the choice rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.sections import joined
from reports.standing import shown
from reports.table import escape, fenced, markdown
from reports.units import NONE, bounds, count, figure, signed

MET = {"yes": "yes", "unsure": "yes, within the noise", "unknown": "not measured", "no": "**no**"}


@dataclass(frozen=True)
class Considered:
    """One system: quality and its interval, each cost as text and as numbers, and where it stands.

    cost: value, low and high of the quantity that systems are ordered by, None if not measured.
    met: yes, unsure, unknown or no; front: yes, perhaps, no, or "" where the cost is not known.
    """

    name: str
    mean: float
    low: float
    high: float
    cost: tuple[float, float, float] | None
    amounts: Mapping[str, str]
    met: str
    front: str
    rival: bool


@dataclass(frozen=True)
class Stage:
    """What each stage of a system gives and takes; None where there is no such stage or figure.

    first: the retriever alone; adds: what the reranker adds with its interval; ceiling: the best
    order of what the reranker sees; costs: the median of each stage as text.
    """

    name: str
    first: float | None
    adds: tuple[float, float, float] | None
    ceiling: float | None
    depth: int | None
    costs: Mapping[str, str]


@dataclass(frozen=True)
class Confirmation:
    """The chosen system on queries that had no part in the choice.

    how: where they are from; difference: of the means seen and held, with low and high; stable:
    how often another choice on other queries was the same; rivals: each one's mean on the held
    queries less that of the chosen, with low and high.
    """

    how: str
    queries: int | None
    seen: float
    held: float
    difference: tuple[float, float, float]
    stable: float | None
    rivals: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True)
class ChoiceReport:
    """Everything that was found on one suite. chosen is None where nothing keeps to the budgets.

    order: the title of the quantity that systems are ordered by. misses: by system the budgets
    that it does not keep, as text, nearest first.
    """

    suite: str
    split: str
    queries: int
    measure: str
    budgets: tuple[str, ...]
    order: str
    chosen: str | None
    best: str | None
    considered: tuple[Considered, ...]
    misses: tuple[tuple[str, str], ...]
    confirmation: Confirmation | None
    stages: tuple[Stage, ...]
    command: str
    toml: str


def sentence(report: ChoiceReport) -> str:
    """The recommendation with its reason, as Markdown on one line."""
    where = f"on {escape(report.suite)} ({escape(report.split)}), {count(report.queries, 'query')}"
    budget = f" within {' and '.join(map(escape, report.budgets))}" if report.budgets else ""
    if report.chosen is None:
        name, miss = report.misses[0]
        return (
            f"**Nothing keeps to the budget** {where}:{budget.removeprefix(' within')} is met by "
            f"none of {count(len(report.considered), 'system')}. The nearest is "
            f"**{escape(name)}**: {escape(miss)}."
        )
    by = {one.name: one for one in report.considered}
    chosen, best = by[report.chosen], by[report.best or report.chosen]
    rivals = [one for one in report.considered if one.rival]
    quality = f"{shown(report.measure)} {figure(chosen.mean)} {bounds(chosen.low, chosen.high)}"
    head = f"Ship **{escape(chosen.name)}**{budget}: {quality} {where}"
    if len(rivals) == 1:
        others = len([one for one in report.considered if one.met in ("yes", "unsure")]) - 1
        return head + (
            "; it is shown to be better than every other that keeps to the budget."
            if others
            else "; there is no other to choose from."
        )
    if chosen is best:
        return (
            f"{head}; it has the highest mean, and of the {len(rivals)} that are not shown to "
            f"differ, it is the cheapest by {escape(report.order)}."
        )
    return (
        f"{head}; **{escape(best.name)}** has {figure(best.mean)} but is not shown to be better, "
        f"and of the {len(rivals)} that are not shown to differ this is the cheapest by "
        f"{escape(report.order)}."
    )


def render(report: ChoiceReport, plot: str | None = None) -> str:
    """The page. plot: the path of the picture, relative to the page."""
    return joined(
        sentence(report),
        _noise(report),
        _confirmation(report),
        _table(report),
        f"![Quality against cost]({plot})" if plot else "",
        _stages(report.stages),
        _how_to(report),
    ) + "\n"  # fmt: skip


def _noise(report: ChoiceReport) -> str:
    chosen = next((one for one in report.considered if one.name == report.chosen), None)
    if chosen is None or chosen.met != "unsure":
        return ""
    return "It keeps to the budget as measured, but the interval of its cost reaches beyond it."


def _confirmation(report: ChoiceReport) -> str:
    found = report.confirmation
    if found is None:
        return "" if report.chosen is None else "The choice was not confirmed on other queries."
    gap, low, high = found.difference
    number = f" ({count(found.queries, 'query')})" if found.queries else ""
    parts = [
        f"Confirmed on {escape(found.how)}{number}: {figure(found.held)}, against "
        f"{figure(found.seen)} where it was chosen; optimism {signed(gap)} {bounds(low, high)}."
    ]
    if found.stable is not None:
        parts.append(f"The same system was chosen in {found.stable:.0%} of the folds.")
    else:
        parts.append("The two sets of queries may differ in difficulty, for every system alike.")
    better = [name for name, (_, low, _) in found.rivals.items() if low > 0]
    if found.rivals:
        parts.append(
            f"There, {', '.join(map(escape, better))} is better by an interval that is clear of 0: "
            "look again."
            if better
            else "No rival is better there by an interval that is clear of 0: the choice holds."
        )
    return " ".join(parts)


def _table(report: ChoiceReport) -> str:
    columns = list(dict.fromkeys(name for one in report.considered for name in one.amounts))
    rows = [
        [
            f"**{escape(one.name)}**" if one.name == report.chosen else escape(one.name),
            figure(one.mean),
            bounds(one.low, one.high),
            "yes" if one.rival else "",
            one.front or NONE,
            *(one.amounts.get(name, NONE) for name in columns),
            *([MET[one.met]] if report.budgets else []),
        ]
        for one in report.considered
    ]
    header = ["system", shown(report.measure), "95 % interval", "rival of the best", "front",
              *columns, *(["keeps to the budget"] if report.budgets else [])]  # fmt: skip
    return joined(
        markdown(header, rows, "lrrll" + "r" * len(columns) + "l" * bool(report.budgets)),
        "Rival of the best: not shown to differ from the highest mean within the budget (paired "
        "randomisation test, Holm over all comparisons with it, 5 %). Front: yes, where no system "
        f"has a mean as high at a {escape(report.order)} as low; no, where one is shown to be "
        "better and the intervals of the cost do not touch; perhaps, in between. Intervals of "
        "latency are bootstraps over queries within one process: another start may move them "
        "further.",
    )


def _stages(stages: Sequence[Stage]) -> str:
    rows = []
    for one in stages:
        adds = NONE if one.adds is None else f"{signed(one.adds[0])} {bounds(*one.adds[1:])}"
        rows.append(
            [
                escape(one.name),
                NONE if one.first is None else figure(one.first),
                adds,
                NONE if one.ceiling is None else figure(one.ceiling),
                NONE if one.depth is None else str(one.depth),
                *(one.costs.get(name, NONE) for name in ("encode", "search", "rerank")),
            ]
        )
    header = ["system", "first stage", "the reranker adds", "ceiling", "at depth", "encode",
              "search", "rerank"]  # fmt: skip
    if not rows:
        return ""
    return joined(
        "**Stage by stage**",
        markdown(header, rows, "lrrrrrrr"),
        "Ceiling: the best order of the documents that the first stage found, to the depth that is "
        "reranked (to the suite's depth without a reranker); no reranker can do better. Stages are "
        "medians.",
    )


def _how_to(report: ChoiceReport) -> str:
    if report.chosen is None:
        return ""
    return joined(
        "To run it:", fenced(report.command), "In an experiment file:", fenced(report.toml)
    )
