"""The picture of a choice: quality against cost, both with their intervals, and the front."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reports.choice import BEST, OUT, RIVAL, ChoiceReport, Considered, Taken
from reports.labels import place
from reports.plots import (
    BLUE,
    FOLDER,
    GREY,
    INK,
    WIDTH,
    canvas,
    pareto,
    plain_ticks,
    save,
    short,
    style,
)
from reports.standing import shown
from reports.table import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

CHOSEN = "#D55E00"  # also of Okabe & Ito's palette
MANY, APART = 12, 30
"""With more systems than MANY only those are named whose points are so many pixels apart."""


def draw(reports: Sequence[ChoiceReport], folder: Path) -> dict[str, str]:
    """Draw each suite's choice into folder/plots, as SVG and as PNG.

    Returns by suite the path of the SVG relative to *folder*; a suite with fewer than two systems
    of known cost has none.
    """
    paths = {}
    with style():
        for report in reports:
            if picture := quality_cost(report):
                name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"choice-{report.suite}-{report.split}")
                paths[report.suite] = save(picture, folder, f"{FOLDER}/{name}")
    return paths


def quality_cost(report: ChoiceReport) -> "Figure | None":
    """Each system by cost and quality; the line joins those that none beats on both as measured.

    A system that does not keep to the budget is hollow; the dotted line is the first budget.
    """
    priced = [(one, one.amounts[report.order]) for one in report.considered
              if report.order in one.amounts]  # fmt: skip
    if len(priced) < 2:
        return None
    picture, axes = canvas(WIDTH, 4.4)
    scale = "log" if all(taken.low > 0 for _, taken in priced) else "linear"
    axes.set_xscale(scale)
    sign = -1 if report.order == "qps" else 1
    on = pareto([(sign * taken.value, one.mean) for one, taken in priced])
    line = sorted((priced[i][1].value, priced[i][0].mean) for i in on)
    steps = "steps-post" if sign > 0 else "steps-pre"
    axes.plot(*zip(*line, strict=True), color=BLUE, lw=1, alpha=0.5, ds=steps, zorder=1)
    if report.limit is not None:
        axes.axvline(report.limit, color=CHOSEN, lw=1, ls=":")
    bars, faint = [], 0.6 if len(priced) <= MANY else 0.25
    for one, taken in priced:
        colour = _colour(one, report)
        bars += axes.plot([taken.value] * 2, [one.low, one.high], color=colour, lw=1.2, alpha=faint)
        bars += axes.plot(
            [taken.low, taken.high], [one.mean] * 2, color=colour, lw=1.2, alpha=faint
        )
        inside = "white" if one.group == OUT else colour
        bars += axes.plot(taken.value, one.mean, "o", color=colour, ms=7, mfc=inside)
    unit = f", {priced[0][1].unit}" if priced[0][1].unit else ""
    logarithmic = " (log scale)" if scale == "log" else ""
    axes.set_xlabel(f"{clean(report.titles[report.order])}{unit}{logarithmic}, 95 % interval")
    axes.set_ylabel(f"{shown(report.measure)}, 95 % interval")
    axes.margins(x=0.12, y=0.08)
    if scale == "log":
        plain_ticks(axes)
    labels = [
        axes.annotate(
            short(one.name, 28),
            (taken.value, one.mean),
            color=CHOSEN if one.name == report.chosen else INK,
        )
        for one, taken in _named(axes, [priced[i] for i in sorted(on)], priced, report)
    ]
    place(labels, axes, bars)
    _thin(labels)
    return picture


def _thin(labels: Sequence["Annotation"]) -> None:
    """Take away each label that lies on one before it."""
    kept: list[Any] = []  # boxes of matplotlib
    for label in labels:
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in kept):
            label.remove()
        else:
            kept.append(box)


Priced = tuple[Considered, Taken]


def _named(
    axes: "Axes", on: Sequence[Priced], priced: Sequence[Priced], report: ChoiceReport
) -> list[Priced]:
    """Those that get their name: the chosen first, then the front, then the others with room."""
    chosen = [pair for pair in priced if pair[0].name == report.chosen]
    order = list({one.name: (one, taken) for one, taken in [*chosen, *on, *priced]}.values())
    if len(order) <= MANY:
        return order
    kept: list[Priced] = []
    points: list[NDArray[np.float64]] = []
    for one, taken in order:
        point = axes.transData.transform((taken.value, one.mean))
        if all(np.hypot(*(point - other)) > APART for other in points):
            kept.append((one, taken))
            points.append(point)
    return kept


def _colour(one: Considered, report: ChoiceReport) -> str:
    if one.name == report.chosen:
        return CHOSEN
    return BLUE if one.group in (BEST, RIVAL) else GREY
