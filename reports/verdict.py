"""What a gate has to say: for people (Markdown), for CI (JUnit XML, annotations), as JSON."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from reports.serial import dumps
from reports.table import clean, escape, markdown
from reports.units import NONE, count, figure, p_value, signed

NO_WORSE, WORSE, UNKNOWN = "no worse", "worse", "cannot tell"


@dataclass(frozen=True)
class GatedCell:
    """One system on one measure: both means, their difference and what was decided.

    lower, upper: one-sided bounds of the difference, of level 1 - alpha; p: one-sided, adjusted
    over all cells. changed: queries whose value changed; reranked: whose ranking did, None where
    rankings are not known. needed: how many queries would likely settle it. note: what else
    differs, such as parameters.
    """

    suite: str
    split: str
    system: str
    measure: str
    verdict: str
    baseline: float
    candidate: float
    difference: float
    lower: float
    upper: float
    p: float
    margin: float
    queries: int
    changed: int
    reranked: int | None
    needed: int | None
    note: str


@dataclass(frozen=True)
class Requirement:
    """A floor or a must-pass query, and whether it holds."""

    name: str
    holds: bool
    found: str


@dataclass(frozen=True)
class ChangedQuery:
    """A query whose value changed; text is None where texts are left out."""

    suite: str
    split: str
    system: str
    measure: str
    query_id: str
    text: str | None
    before: float
    after: float


@dataclass(frozen=True)
class GateReport:
    """Everything that a gate found; verdict is of all cells and requirements together."""

    verdict: str
    exact: bool
    alpha: float
    power: float
    baseline: str
    cells: tuple[GatedCell, ...]
    requirements: tuple[Requirement, ...]
    queries: tuple[ChangedQuery, ...]
    notes: tuple[str, ...]


def sentence(report: GateReport) -> str:
    """The verdict in words, in one line of plain text."""
    broken = [found.name for found in report.requirements if not found.holds]
    by = {verdict: [c for c in report.cells if c.verdict == verdict] for verdict in _ORDER}
    if report.verdict == NO_WORSE:
        if not any(cell.changed for cell in report.cells):
            reranked = any(cell.reranked for cell in report.cells)
            what = "some rankings changed, but no value" if reranked else "nothing changed"
            return f"No worse: {what} in {_cells(report.cells)}."
        return f"No worse: a loss beyond the margin is ruled out in {_cells(report.cells)}."
    if report.verdict == WORSE:
        parts = list(dict.fromkeys(_lost(cell, report.exact) for cell in by[WORSE]))
        parts += [f"not met: {clean(name)}" for name in broken]
        return f"Worse: {'; '.join(parts)}."
    unsure = max(by[UNKNOWN], key=lambda cell: cell.needed or 0)
    start = f"Cannot tell: {_cells(by[UNKNOWN])} changed, and {count(unsure.queries, 'query')}"
    if unsure.needed is None or unsure.needed <= unsure.queries:
        return f"{start} neither rule out a loss beyond the margin nor show one: it is too close."
    return (
        f"{start} are too few to rule out a loss beyond the margin or to show one; it would take "
        f"about {unsure.needed:,}."
    )


_ORDER = (WORSE, UNKNOWN, NO_WORSE)
NEXT = {
    NO_WORSE: "Nothing to do. If the change was meant to help, `bench compare` says by how much.",
    WORSE: "Look at what is listed below. Where the loss is wanted (a fix that costs quality on "
    "purpose), accept the new values with `bench baseline accept`.",
    UNKNOWN: "More queries would tell, or a wider margin, if that loss is one you could live with. "
    "`--inconclusive pass` or `fail` decides for the job.",
}


def to_markdown(report: GateReport) -> str:
    """The page: the verdict first, then what it rests on."""
    rows = [
        [
            f"{escape(cell.suite)} ({escape(cell.split)})",
            escape(cell.system),
            escape(cell.measure),
            f"**{cell.verdict}**",
            f"{figure(cell.baseline)} → {figure(cell.candidate)}",
            signed(cell.difference),
            f"[{cell.lower:+.3f}, {cell.upper:+.3f}]",
            f"{cell.margin:.3f}",
            p_value(cell.p),
            f"{cell.changed} of {cell.queries}",
            NONE if cell.needed is None else f"{cell.needed:,}",
        ]
        for cell in sorted(report.cells, key=lambda cell: _ORDER.index(cell.verdict))
    ]
    header = ["suite", "system", "measure", "verdict", "mean", "change", "bounds", "margin", "p",
              "queries changed", "queries needed"]  # fmt: skip
    return "\n\n".join(part for part in (
        f"**{escape(sentence(report))}**",
        NEXT[report.verdict],
        markdown(header, rows, "llllrrrrrrr") if rows else "",
        _how(report),
        _requirements(report),
        _queries(report),
        "\n".join(f"- {escape(note)}" for note in (*report.notes, *_cell_notes(report))),
    ) if part) + "\n"  # fmt: skip


def _how(report: GateReport) -> str:
    if report.exact:
        return "Exact: any changed ranking is worse, whatever it does to the measures."
    level = f"{1 - report.alpha:.0%}"
    return (
        f"Change is candidate less baseline ({escape(report.baseline)}), paired by query. *No "
        "worse* means that its lower bound is above minus the margin, *worse* that the mean lost "
        f"at least the margin and its upper bound is below 0 (each one-sided, of level {level}; p "
        "is one-sided, adjusted by Holm's method). Neither: it cannot be told from these queries, "
        f"and the last column says how many would tell with a probability of {report.power:.0%}."
    )


def _requirements(report: GateReport) -> str:
    if not report.requirements:
        return ""
    rows = [
        [escape(found.name), "holds" if found.holds else "**not met**", escape(found.found)]
        for found in report.requirements
    ]
    return markdown(["requirement", "", "found"], rows, "lll")


def _queries(report: GateReport) -> str:
    if not report.queries:
        return ""
    rows = [
        [
            escape(found.query_id),
            escape(found.text) if found.text is not None else NONE,
            escape(found.system),
            escape(found.measure),
            f"{figure(found.before)} → {figure(found.after)}",
            signed(found.after - found.before),
        ]
        for found in report.queries
    ]
    header = ["query", "text", "system", "measure", "value", "change"]
    return f"**Queries that changed most**\n\n{markdown(header, rows, 'llllrr')}"


def _cell_notes(report: GateReport) -> list[str]:
    return list(dict.fromkeys(f"{c.system}: {c.note}" for c in report.cells if c.note))


def _cells(cells: tuple[GatedCell, ...] | list[GatedCell]) -> str:
    if len(cells) == 1:
        return f"{_name(cells[0])} ({count(cells[0].queries, 'query')})"
    return f"{len(cells)} cells (suite, system, measure)"


def _name(cell: GatedCell) -> str:
    return f"{cell.measure} of {clean(cell.system)} on {clean(cell.suite)}"


def _lost(cell: GatedCell, exact: bool) -> str:
    if exact:
        moved = f"{cell.reranked} of {cell.queries} queries"
        return f"{clean(cell.system)} on {clean(cell.suite)} ranks {moved} otherwise"
    return f"{_name(cell)} lost {figure(-cell.difference)} (margin {cell.margin:.3f})"


def to_json(report: GateReport) -> str:
    """All of it as one JSON object, with the sentence."""
    return dumps({"sentence": sentence(report), **vars(report)}) + "\n"


CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def to_junit(report: GateReport, unknown: str = "skipped") -> str:
    """JUnit XML: a test case a cell and a requirement.

    unknown: what a cell is of which it cannot be told: skipped, or failure.
    """
    tests = ElementTree.Element("testsuite", name="bench gate")
    for cell in report.cells:
        name = inert(f"{cell.suite}.{cell.split}.{cell.system}.{cell.measure}")
        case = ElementTree.SubElement(tests, "testcase", classname="bench.gate", name=name)
        text = inert(
            f"{signed(cell.difference)} [{cell.lower:+.3f}, {cell.upper:+.3f}], "
            f"margin {cell.margin:.3f}"
        )
        if cell.verdict == WORSE:
            ElementTree.SubElement(case, "failure", message=text)
        elif cell.verdict == UNKNOWN:
            ElementTree.SubElement(case, unknown, message=f"cannot tell: {text}")
    for found in report.requirements:
        name = inert(found.name)
        case = ElementTree.SubElement(tests, "testcase", classname="bench.gate", name=name)
        if not found.holds:
            ElementTree.SubElement(case, "failure", message=inert(found.found))
    cases = list(tests)
    tests.set("tests", str(len(cases)))
    tests.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    tests.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    body = ElementTree.tostring(tests, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def inert(text: str) -> str:
    return CONTROL.sub("\ufffd", clean(text))


LEVELS = {NO_WORSE: "notice", UNKNOWN: "warning", WORSE: "error"}


def annotations(report: GateReport) -> Iterator[str]:
    """GitHub workflow commands: the verdict, then each cell that is not fine."""
    yield annotation(LEVELS[report.verdict], "bench gate", sentence(report))
    for cell in report.cells:
        if cell.verdict != NO_WORSE:
            text = f"{signed(cell.difference)}, bounds [{cell.lower:+.3f}, {cell.upper:+.3f}]"
            yield annotation(LEVELS[cell.verdict], _name(cell), f"{cell.verdict}: {text}")
    for found in report.requirements:
        if not found.holds:
            yield annotation("error", found.name, found.found)


def annotation(level: str, title: str, text: str) -> str:
    def quoted(value: str, also: str = "") -> str:
        for mark in "%\r\n" + also:
            value = value.replace(mark, f"%{ord(mark):02X}")
        return value

    return f"::{level} title={quoted(clean(title), ':,')}::{quoted(clean(text))}"
