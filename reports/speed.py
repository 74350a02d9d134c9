"""What a latency gate has to say: for people (Markdown), for CI (JUnit XML, annotations), JSON."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reports.serial import dumps
from reports.table import clean, escape, markdown
from reports.units import count, duration, p_value
from reports.verdict import annotation, inert

NO_SLOWER, SLOWER, UNKNOWN = "no slower", "slower", "cannot tell"
LEVELS = {SLOWER: "error", UNKNOWN: "warning", NO_SLOWER: "notice"}


@dataclass(frozen=True)
class Stage:
    """Typical nanoseconds of one stage, baseline and candidate, and the slow-down as a share."""

    name: str
    before_ns: float
    after_ns: float
    slowdown: float


@dataclass(frozen=True)
class SpeedCell:
    """One system on one suite; the shares are those of `bench.gate.latency_stats.Speed`."""

    suite: str
    split: str
    system: str
    baseline: str
    rounds: int
    queries: int
    stages: tuple[Stage, ...]
    verdict: str
    slowdown: float
    lower: float
    upper: float
    p: float
    copies: float
    noise: float
    floor: float
    visible: float


@dataclass(frozen=True)
class SpeedReport:
    """Everything that a latency gate found; verdict is of all cells together."""

    verdict: str
    against: str
    alpha: float
    power: float
    max_slowdown: float
    starts: int
    threads: int
    cells: tuple[SpeedCell, ...]


def worst(cells: Sequence[SpeedCell]) -> str:
    """The verdict of all cells: slower if one is, else cannot tell if one is."""
    return next((v for v in LEVELS if any(cell.verdict == v for cell in cells)), NO_SLOWER)


def sentence(report: SpeedReport) -> str:
    """The verdict in words, in one line of plain text."""
    found = [cell for cell in report.cells if cell.verdict == report.verdict]
    if report.verdict == SLOWER:
        return f"Slower: {'; '.join(map(_slower, found))}."
    if report.verdict == UNKNOWN:
        return (
            f"Cannot tell: {_names(found)} may be slower by more than {report.max_slowdown:.0%}, "
            "or not; the timings of this job are too noisy, or the change too near to that."
        )
    top = max(cell.upper for cell in found)
    size = f"a slow-down of more than {top:.1%}" if top > 0 else "any slow-down"
    return (
        f"No slower: {size} is ruled out for {_names(found)}; {report.max_slowdown:.0%} was asked "
        "for."
    )


NEXT = {
    NO_SLOWER: "Nothing to do.",
    SLOWER: "Look at the stage that grew. Run it again if you doubt it: the same answer twice is "
    "hardly chance.",
    UNKNOWN: "Run it again on a quieter machine, with more `--starts`, or with a larger "
    "`--max-slowdown`, if that is one you could live with.",
}


def to_markdown(report: SpeedReport) -> str:
    """The page: the verdict first, then what it rests on."""
    cells = sorted(report.cells, key=lambda cell: list(LEVELS).index(cell.verdict))
    rows = [
        [
            f"{escape(cell.suite)} ({escape(cell.split)})",
            escape(cell.system),
            f"**{cell.verdict}**",
            _change(cell.stages, "total"),
            percent(cell.slowdown),
            _bounds(cell),
            p_value(cell.p),
            percent(cell.copies),
            f"{cell.floor:.1%}",
            f"{cell.visible:.1%}",
        ]
        for cell in cells
    ]
    header = ["suite", "system", "verdict", "typical latency", "slow-down", "bounds", "p",
              "two baselines", "fails above", "would catch"]  # fmt: skip
    return "\n\n".join((
        f"**{escape(sentence(report))}**",
        NEXT[report.verdict],
        markdown(header, rows, "lllrrrrrrr"),
        _how(report),
        *map(_stages, (cell for cell in cells if len(cell.stages) > 1)),
    )) + "\n"  # fmt: skip


def _how(report: SpeedReport) -> str:
    cells = report.cells
    rounds = " to ".join(map(str, sorted({cell.rounds for cell in cells})))
    queries = " to ".join(map(str, sorted({cell.queries for cell in cells})))
    shared = f" over the {len(cells)} systems together" if len(cells) > 1 else ""
    return (
        f"Baseline: {escape(report.against)}. {count(report.starts, 'start')} of three fresh "
        "processes (baseline, baseline again, candidate), which answered the same "
        f"{queries} queries in {rounds} rounds by turns, on {count(report.threads, 'thread')}. "
        "*Two baselines* is how much slower the second copy of the same code seemed: noise. "
        "A slow-down is called so only where it is above *fails above*, which noise alone passes "
        f"with a probability of at most {report.alpha:.0%}{shared}; nothing less fails. A true "
        f"slow-down of *would catch* is found with a probability of {report.power:.0%}. The bounds "
        f"are one-sided. *No slower* means that the upper one is below {report.max_slowdown:.0%}."
    )


def _stages(cell: SpeedCell) -> str:
    rows = [
        [escape(stage.name), duration(stage.before_ns), duration(stage.after_ns),
         percent(stage.slowdown)]
        for stage in cell.stages
    ]  # fmt: skip
    table = markdown(["stage", "baseline", "candidate", "slow-down"], rows, "lrrr")
    return f"Stages of {escape(cell.system)} (for orientation, not tested):\n\n{table}"


def _change(stages: Sequence[Stage], name: str) -> str:
    stage = next(stage for stage in stages if stage.name == name)
    return f"{duration(stage.before_ns)} → {duration(stage.after_ns)}"


def _slower(cell: SpeedCell) -> str:
    return (
        f"{_name(cell)} takes {cell.slowdown:.1%} longer, at least {cell.lower:.1%} "
        f"({_change(cell.stages, 'total')})"
    )


def _names(cells: Sequence[SpeedCell]) -> str:
    return _name(cells[0]) if len(cells) == 1 else f"{len(cells)} systems"


def _name(cell: SpeedCell) -> str:
    return f"{clean(cell.system)} on {clean(cell.suite)}"


def percent(share: float) -> str:
    """A change: +12.3%, and 0.0% without a sign."""
    text = f"{share:+.1%}"
    return text if text.strip("+-0.%") else "0.0%"


def to_json(report: SpeedReport) -> str:
    """All of it as one JSON object, with the sentence."""
    return dumps({"sentence": sentence(report), **vars(report)}) + "\n"


def to_junit(report: SpeedReport, unknown: str = "skipped") -> str:
    """JUnit XML: a test case a system; unknown: what *cannot tell* is, skipped or failure."""
    tests = ElementTree.Element("testsuite", name="bench gate, latency")
    counts = {"failure": 0, "skipped": 0}
    for cell in report.cells:
        case = ElementTree.SubElement(
            tests, "testcase", classname="bench.gate.latency",
            name=inert(f"{cell.suite}.{cell.split}.{cell.system}"),
        )  # fmt: skip
        if tag := {SLOWER: "failure", UNKNOWN: unknown}.get(cell.verdict):
            counts[tag] += 1
            ElementTree.SubElement(case, tag, message=_figures(cell))
    tests.set("tests", str(len(report.cells)))
    tests.set("failures", str(counts["failure"]))
    tests.set("skipped", str(counts["skipped"]))
    body = ElementTree.tostring(tests, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def annotations(report: SpeedReport) -> Iterator[str]:
    """GitHub workflow commands: the verdict, then each system that is not fine."""
    yield annotation(LEVELS[report.verdict], "bench gate, latency", sentence(report))
    for cell in report.cells:
        if cell.verdict != NO_SLOWER:
            yield annotation(LEVELS[cell.verdict], _name(cell), _figures(cell))


def _bounds(cell: SpeedCell) -> str:
    return f"[{percent(cell.lower)}, {percent(cell.upper)}]"


def _figures(cell: SpeedCell) -> str:
    return (
        f"{cell.verdict}: {percent(cell.slowdown)}, bounds {_bounds(cell)}, "
        f"fails above {cell.floor:.1%}"
    )
