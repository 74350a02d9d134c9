"""docs/performance.md, from what the benchmarks found."""

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.common import Fact, Mark, Plot, Result, Timing
from benchmarks.ratios import Verdict, by_work, verdicts
from reports.plots import save, style
from reports.table import escape, markdown
from reports.units import NONE, digits, duration

INTRODUCTION = """\
# Speed

Made by `python -m benchmarks`, which runs each benchmark in a process of its own. The sides of a
row take turns in that process, over the same data, tokens, threads and k, after their results were
checked to agree; a ratio is the median over rounds of the other's time through ours, with its 95 %
bootstrap interval. So **above 1 ours is faster**. Times are of one shared machine and go with it;
ratios carry over better. The other libraries are listed in `benchmarks/requirements.txt`.
"""

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8A8A8A", "#222222")
"""From Okabe & Ito's palette."""

MARKERS = "osD^vP*X"


def page(results: Mapping[str, tuple[str, Result]], folder: Path) -> str:
    """The whole page; plots go into folder/performance."""
    parts = [INTRODUCTION, _machine(), _summary(results)]
    for name, (title, result) in results.items():
        parts.append(_section(name, title, result, folder))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _machine() -> str:
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"Measured with Python {platform.python_version()} on {cores} {platform.machine()} cores."
    )


def _summary(results: Mapping[str, tuple[str, Result]]) -> str:
    rows = []
    for title, result in results.values():
        found = verdicts(result)
        met = sum(verdict.met is True for verdict in found)
        measured = sum(verdict.met is not None for verdict in found)
        rows.append([title, str(met), str(measured - met), str(len(found) - measured)])
    header = ["", "marks met", "not met", "not measured"]
    return "## All of it in one table\n\n" + markdown(header, rows, "lrrr")


def _section(name: str, title: str, result: Result, folder: Path) -> str:
    parts = [f"## {title}", f"`python -m benchmarks {name}`"]
    if result.marks:
        parts.append(_marks(verdicts(result)))
    if result.timings:
        parts.append(_times(result.timings))
    if result.facts:
        parts.append(_facts(result.facts))
    if result.plot and (path := _draw(name, result.timings, result.plot, folder)):
        parts.append(f"![{title}]({path})")
    parts += [f"- {escape(note)}" for note in result.notes]
    return "\n\n".join(parts)


def _marks(found: Sequence[Verdict]) -> str:
    rows = []
    for (work, ours, peer, promised), ratio, met in (
        ((v.mark.work, v.mark.ours, v.mark.peer, v.mark.promised), v.ratio, v.met) for v in found
    ):
        shown = [NONE, NONE] if ratio is None else [
            digits(ratio.value), f"[{digits(ratio.low)}, {digits(ratio.high)}]"
        ]  # fmt: skip
        answer = {True: "met", False: "**not met**", None: "not measured"}[met]
        rows.append([escape(work), escape(ours), escape(peer), *shown, digits(promised), answer])
    header = ["work", "ours", "against", "ratio", "95 %", "promised", ""]
    return markdown(header, rows, "lllrrrl")


def _times(timings: Sequence[Timing]) -> str:
    """A row a piece of work, a column a side: the median time of one unit; curves are left out."""
    seen = Counter((timing.work, timing.side) for timing in timings)
    curves = {work for (work, _), times in seen.items() if times > 1}  # they are only drawn
    works = by_work([timing for timing in timings if timing.work not in curves])
    sides = list(dict.fromkeys(timing.side for timing in timings))
    rows = [
        [
            escape(work),
            *(
                duration(float(np.median(found[side].seconds)) / found[side].units * 1e9)
                if side in found
                else NONE
                for side in sides
            ),
        ]
        for work, found in works.items()
    ]
    return "Median time a unit (query, document, line or call):\n\n" + markdown(
        ["work", *map(escape, sides)], rows, "l" + "r" * len(sides)
    )


def _facts(facts: Sequence[Fact]) -> str:
    rows = [
        [escape(fact.name), digits(fact.value), escape(fact.unit), escape(fact.note)]
        for fact in facts
    ]
    return markdown(["found", "value", "unit", ""], rows, "lrll")


def _draw(name: str, timings: Sequence[Timing], plot: Plot, folder: Path) -> str | None:
    """A log-log plot of the timings that have an x; None where there are none."""
    import matplotlib.pyplot as plt

    lines = _lines(timings, plot)
    if not lines:
        return None
    with style():
        picture, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
        for number, (label, (x, y)) in enumerate(lines.items()):
            look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % 8]}
            axes.plot(x, y, label=label, ms=5, lw=1.5, **look)
        axes.set(xscale=plot.x_scale, yscale="log", xlabel=plot.x_label, ylabel=plot.y_label)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        path = save(picture, folder, f"performance/{name}")
        plt.close(picture)
    return path


def _lines(timings: Sequence[Timing], plot: Plot) -> dict[str, tuple[list[float], list[float]]]:
    """By label, the sizes and the values, ascending in size."""
    chosen = [t for t in timings if t.x is not None and (not plot.only or t.work in plot.only)]
    points: dict[str, list[tuple[float, float]]] = {}
    for timing in chosen:
        seconds = float(np.median(timing.seconds))
        value = seconds if plot.y == "seconds" else timing.units / seconds
        points.setdefault(timing.side, []).append((float(timing.x or 0), value))
    return {
        side: ([x for x, _ in sorted(found)], [y for _, y in sorted(found)])
        for side, found in points.items()
    }


def to_json(title: str, result: Result) -> str:
    """One benchmark's result as the file that `from_json` reads."""
    return json.dumps({"title": title, **asdict(result)}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> tuple[str, Result]:
    """Title and result."""
    found = json.loads(text)
    return found["title"], Result(
        timings=tuple(Timing(**{**t, "seconds": tuple(t["seconds"])}) for t in found["timings"]),
        marks=tuple(Mark(**mark) for mark in found["marks"]),
        facts=tuple(Fact(**fact) for fact in found["facts"]),
        notes=tuple(found["notes"]),
        plot=Plot(**{**found["plot"], "only": tuple(found["plot"]["only"])})
        if found["plot"]
        else None,
    )
