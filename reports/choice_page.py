"""The page of `bench choose`: what to ship and why, then what the choice rests on."""

from collections.abc import Mapping, Sequence

from reports.choice import ChoiceReport, Considered, Stage, caveats, confirmed, sentence
from reports.sections import joined
from reports.standing import STAGES, shown
from reports.summary import strong
from reports.table import escape, fenced, markdown
from reports.units import NONE, bounds, figure, p_value, signed

MET = {"yes": "yes", "unsure": "within the noise", "unknown": "not measured", "no": "**no**"}

CAPTION = (
    "Orange: chosen; blue: the best and those not shown to differ from it; grey: the others; "
    "hollow: not within the budget, which is dotted. The line is the front as measured."
)


def render(reports: Sequence[ChoiceReport], plots: Mapping[str, str] | None = None) -> str:
    """The page of all suites. plots: by suite the path of its picture, relative to the page."""
    pages = []
    for report in reports:
        title = f"## {escape(report.suite)}" if len(reports) > 1 else ""
        pages.append(joined(title, page(report, (plots or {}).get(report.suite))))
    return "\n\n".join(pages) + "\n"


def page(report: ChoiceReport, plot: str | None = None) -> str:
    """The page of one suite."""
    return joined(
        sentence(report),
        "\n".join(f"- {line}" for line in caveats(report)),
        confirmed(report),
        contenders(report),
        misses(report),
        _how_to(report),
        "**What there was to choose from**",
        table(report),
        joined(f"![Quality against cost]({plot})", CAPTION) if plot else "",
        stages(report.stages),
        "\n".join(f"- {strong(name)} failed: {escape(why)}" for name, why in report.failed.items()),
    )


def contenders(report: ChoiceReport) -> str:
    """The contenders on the queries to confirm on; "" without any."""
    found = report.confirmation
    if found is None or not found.contenders:
        return ""
    rows = [
        [
            _named(one.name, report),
            figure(one.seen),
            f"{figure(one.held[0])} {bounds(*one.held[1:])}",
            f"{signed(one.optimism[0])} {bounds(*one.optimism[1:])}",
            NONE if one.against is None else f"{signed(one.against[0])} {bounds(*one.against[1:])}",
            NONE if one.p is None else p_value(one.p),
        ]
        for one in found.contenders
    ]
    header = ["contender", f"{escape(report.split)}", escape(found.where or ""), "optimism",
              "against the chosen", "p"]  # fmt: skip
    return joined(
        markdown(header, rows, "lrrrrr"),
        f"{shown(report.measure)} where the choice was made and on the other queries, with 95 % "
        "intervals; p is two-sided, paired by query, after Holm's correction.",
    )


def table(report: ChoiceReport) -> str:
    """Every system with quality, costs, and where it stands."""
    header = ["system", shown(report.measure), "to the best", "against the chosen",
              *report.titles.values(), *(["within budget"] if report.budgets else []),
              "front"]  # fmt: skip
    rows = [
        [
            _named(one.name, report),
            f"{figure(one.mean)} {bounds(one.low, one.high)}",
            one.group or NONE,
            NONE if one.against is None else f"{signed(one.against[0])} {bounds(*one.against[1:])}",
            *(_amount(one, name) for name in report.titles),
            *([MET[one.met]] if report.budgets else []),
            one.front or NONE,
        ]
        for one in report.considered
    ]
    align = "lrlr" + "r" * len(report.titles) + "l" * (len(header) - 4 - len(report.titles))
    kept = " of those that keep to the budget" if report.budgets else ""
    return joined(
        markdown(header, rows, align),
        f"*To the best*: the highest mean{kept}; *not shown to differ* by a paired randomisation "
        "test of 5 % after Holm's correction over all comparisons with it. *Within budget*: the "
        "whole interval keeps to the limit; *within the noise*: only the measured figure does. "
        f"*Front*, of quality against {report.titles[report.order]}: *yes*, each other system is "
        "shown to be worse or shown to be dearer; *no*, one is shown to be better and shown to be "
        "cheaper (Holm's correction over all pairs; costs whose intervals do not touch and that "
        "differ by more than a tenth); "
        "*not shown*, as measured but neither of these.",
        "All intervals are of 95 %. Those of latency resample the queries, all rounds of one "
        "together, within one process: another start may move them further. What has no interval "
        "was measured once.",
    )


def _amount(one: Considered, name: str) -> str:
    return one.amounts[name].text if name in one.amounts else NONE


def _named(name: str, report: ChoiceReport) -> str:
    return strong(name) if name == report.chosen else escape(name)


def stages(found: Sequence[Stage]) -> str:
    """What each stage gives and takes, "" without systems."""
    if not found:
        return ""
    rows = [
        [
            escape(one.name),
            NONE if one.first is None else figure(one.first),
            NONE if one.adds is None else f"{signed(one.adds[0])} {bounds(*one.adds[1:])}",
            NONE if one.ceiling is None else f"{figure(one.ceiling[0])} {bounds(*one.ceiling[1:])}",
            str(one.depth),
            *(one.costs.get(name, NONE) for name in STAGES),
        ]
        for one in found
    ]
    header = ["system", "first stage", "the reranker adds", "ceiling", "at depth", *STAGES]
    old = any(one.ceiling is None for one in found)
    return joined(
        "**Stage by stage**",
        markdown(header, rows, "l" + "r" * (len(header) - 1)),
        "*Ceiling*: the best order of the documents that the first stage found, to the depth that "
        "is reranked, else to the suite's; no reranker of them does better. "
        "Encode, search and rerank are medians of one query."
        + (" A record of an earlier version has no first stage and no ceiling." if old else ""),
    )


def misses(report: ChoiceReport) -> str:
    """How far each system is from the budget; "" where something was chosen."""
    if report.chosen is not None:
        return ""
    lines = [f"- {strong(name)}: {text}" for name, text in report.misses]
    return joined("**How far off**", "\n".join(lines))


def _how_to(report: ChoiceReport) -> str:
    if report.chosen is None:
        return ""
    return joined(
        "To run it:", fenced(report.command), "In an experiment file:", fenced(report.toml)
    )
