"""The plots of a report, as SVG and PNG: the same record gives the same SVG, byte for byte."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.files import write
from reports.labels import place
from reports.record import Cell, Record
from reports.standing import (
    STAGES,
    Standing,
    mean,
    median_ns,
    percentile,
    plot_name,
    shown,
    standings,
)
from reports.table import clean
from reports.units import duration, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = "plots"
WIDTH = 7.2  # inches
BLUE, GREY, INK = "#0072B2", "#8A8A8A", "#222222"
COLOURS = {"encode": "#56B4E9", "search": "#0072B2", "rerank": "#E69F00", "context": "#009E73",
           "generate": "#CC79A7", "total": "#8A8A8A"}  # fmt: skip
"""From Okabe & Ito's palette, which the colour-blind can tell apart."""

STYLE: Any = {  # matplotlib types its settings one by one
    "axes.axisbelow": True,
    "axes.edgecolor": "#BBBBBB",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": "#E6E6E6",
    "savefig.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "reports",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
}
NAME_WIDTH = 36


def draw(record: Record, folder: Path) -> dict[str, str]:
    """Draw every plot that the record has data for into folder/plots, as SVG and as PNG.

    Returns by name, `KIND.SUITE.SPLIT`, the path of the SVG relative to *folder*.
    """
    paths = {}
    with style():
        for standing in standings(record):
            for kind, plot in PLOTS.items():
                if picture := plot(standing):
                    name = plot_name(kind, standing.suite)
                    paths[name] = save(picture, folder, f"{FOLDER}/{name}")
    return paths


@contextmanager
def style() -> Iterator[None]:
    """Our settings of matplotlib, whatever the user's are, for the plots drawn inside."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in another script
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def save(picture: "Figure", folder: Path, name: str) -> str:
    """Write both forms; the path of the SVG, without a date so that it does not change."""
    for form, metadata in {"svg": {"Date": None}, "png": {"Software": None}}.items():
        out = io.BytesIO()
        picture.savefig(out, format=form, metadata=metadata)
        write(folder / f"{name}.{form}", out.getvalue())
    return f"{name}.svg"


def leaderboard(standing: Standing) -> "Figure | None":
    """The headline of each system with its interval, best on top, groups at the right."""
    if not standing.cells:
        return None
    picture, axes = _rows([_name(cell) for cell in standing.cells])
    for row, cell in enumerate(standing.cells):
        at, low, high = (cell.means[standing.headline][key] for key in ("mean", "low", "high"))
        axes.plot([low, high], [row, row], color=BLUE, lw=2, solid_capstyle="butt")
        axes.plot(at, row, "o", color=BLUE, ms=7)
        text = f"{figure(at)}  {standing.letters(standing.headline, cell.system)}".rstrip()
        axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{shown(standing.headline)}, mean and 95 % interval")
    return picture


def quality_latency(standing: Standing) -> "Figure | None":
    """The headline against median latency; the line joins systems that none beats on both."""
    timed = [(ns / 1e6, cell) for cell in standing.cells if (ns := median_ns(cell))]
    if len(timed) < 2:
        return None
    picture, axes = canvas(WIDTH, 4.2)
    axes.set_xscale("log")
    front = pareto([(ms, mean(cell, standing.headline)) for ms, cell in timed])
    line = sorted((timed[i][0], mean(timed[i][1], standing.headline)) for i in front)
    axes.plot(*zip(*line, strict=True), color=BLUE, lw=1, alpha=0.5, ds="steps-post", zorder=1)
    labels = []
    for i, (ms, cell) in enumerate(timed):
        at, low, high = (cell.means[standing.headline][key] for key in ("mean", "low", "high"))
        colour = BLUE if i in front else GREY
        axes.plot([ms, ms], [low, high], color=colour, lw=1.2, alpha=0.6)
        axes.plot(ms, at, "o", color=colour, ms=7)
        labels.append(axes.annotate(short(cell.system, 28), (ms, at), color=INK))
    axes.set_xlabel("median latency of one query, ms (log scale)")
    axes.set_ylabel(f"{shown(standing.headline)}, 95 % interval")
    axes.margins(x=0.12, y=0.08)
    plain_ticks(axes)
    place(labels, axes, axes.lines[1:])
    return picture


def stages(standing: Standing) -> "Figure | None":
    """The median latency of each stage, stacked, with the median of the whole at its end."""
    found = [(cell, cell.cost) for cell in standing.cells if cell.cost and median_ns(cell)]
    if not found:
        return None
    picture, axes = _rows([_name(cell) for cell, _ in found])
    used = set()
    for row, (_, cost) in enumerate(found):
        left = 0.0
        for stage in STAGES:
            if (ns := percentile(cost, stage, 50)) is not None:
                axes.barh(row, ns / 1e6, 0.6, left=left, color=COLOURS[stage])
                left += ns / 1e6
                used.add(stage)
        total = percentile(cost, "total", 50) or 0.0
        axes.annotate(duration(total), (left, row), (5, 0), textcoords="offset points", va="center")
    handles = [_patch(stage) for stage in STAGES if stage in used]
    picture.legend(handles=handles, loc="outside upper right", ncols=len(STAGES), frameon=False)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.set_xlabel("median of each stage, ms; at the end the median of the whole")
    return picture


def bounds(standing: Standing) -> "Figure | None":
    """The headline of each system that answers, between its floor and its ceiling."""
    if standing.suite.task != "answers":
        return None
    pairs = [
        (cell, standing.bound_of(cell, "floor"), standing.bound_of(cell, "ceiling"))
        for cell in standing.cells
    ]
    rows = [(cell, low, high) for cell, low, high in pairs if low and high]
    if not rows:
        return None
    picture, axes = _rows([_name(cell) for cell, *_ in rows])
    for row, cells in enumerate(rows):
        at, low, high = (mean(cell, standing.headline) for cell in cells)
        axes.plot([low, high], [row, row], color=GREY, lw=1.5, zorder=1)
        for value, mark, label in (
            (low, "|", "floor"),
            (high, "|", "ceiling"),
            (at, "o", "system"),
        ):
            colour = BLUE if label == "system" else GREY
            axes.plot(value, row, mark, color=colour, ms=7 if mark == "o" else 12, mew=2)
        axes.annotate(figure(at), (at, row), (0, 9), textcoords="offset points", ha="center")
    axes.grid(visible=False, axis="y")
    axes.margins(y=0.25)
    axes.set_xlabel(f"{shown(standing.headline)}: floor, system, ceiling")
    return picture


def kinds(standing: Standing) -> "Figure | None":
    """The headline by kind of query and system, as a table with shades."""
    if not standing.kinds or not standing.cells:
        return None
    members = standing.kinds
    means = np.array(
        [
            [np.mean(np.take(cell.values[standing.headline], rows)) for rows in members.values()]
            for cell in standing.cells
        ]
    )
    picture, axes = _rows([_name(cell) for cell in standing.cells], extra=0.9)
    spread = max(float(means.max()), 1e-9)
    axes.imshow(means, cmap="Blues", vmin=0, vmax=spread * 1.25, aspect="auto")
    for (row, column), value in np.ndenumerate(means):
        dark = value > 0.75 * spread
        axes.text(
            column, row, figure(value), ha="center", va="center", color="white" if dark else INK
        )
    names = [f"{short(kind) or '(none)'} ({len(rows)})" for kind, rows in members.items()]
    axes.set_xticks(range(len(names)), names)
    if sum(map(len, names)) > 80:
        axes.tick_params("x", rotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"{shown(standing.headline)} by kind, with its number of queries (exploratory)")
    return picture


PLOTS: Mapping[str, Callable[[Standing], "Figure | None"]] = {
    "leaderboard": leaderboard,
    "bounds": bounds,
    "quality-latency": quality_latency,
    "stages": stages,
    "kinds": kinds,
}


def pareto(points: Sequence[tuple[float, float]]) -> set[int]:
    """Which points (cost, quality) no other beats: none is as cheap and as good, and one better."""
    return {
        i
        for i, (cost, quality) in enumerate(points)
        if not any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in points)
    }


def canvas(wide: float, high: float) -> "tuple[Figure, Axes]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure((wide, high), layout="constrained")
    FigureCanvasAgg(picture)
    return picture, picture.add_subplot()


def _rows(names: Sequence[str], extra: float = 0.8) -> "tuple[Figure, Axes]":
    """A figure with one row a name, the first on top."""
    picture, axes = canvas(WIDTH, extra + 0.36 * max(2, len(names)))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    return picture, axes


def _patch(stage: str) -> Any:  # a matplotlib handle
    from matplotlib.patches import Patch

    return Patch(color=COLOURS[stage], label=stage)


def plain_ticks(axes: "Axes") -> None:
    """0.1, 1, 10 instead of powers of ten, with ticks between where the range is small."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    subs = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name(cell: Cell) -> str:
    return short(cell.system)


def short(text: str, length: int = NAME_WIDTH) -> str:
    text = clean(text)
    return text if len(text) <= length else text[: length - 1] + "…"
