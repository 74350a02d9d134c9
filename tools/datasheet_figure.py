"""The figure of a datasheet, as SVG: the same suite gives the same file, byte for byte."""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from reports.plots import BLUE, GREY, STYLE, WIDTH
from reports.table import clean
from tools.distributions import Distributions, Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASSES = ("pipeline_tag", "task_categories", "topic")
"""The column that says what a document is for: the first of these that the suite has."""

BINS, NAME_LENGTH, FEWEST_ROWS = 22, 30, 7


def draw(d: Distributions) -> str:
    """The SVG: classes, languages, lengths of the texts, and grades by kind of query."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a value in another script
        mpl.rcdefaults()
        mpl.rcParams.update({**STYLE, "font.size": 8, "axes.titlesize": 8.5})
        picture = Figure((WIDTH, 6.8), layout=ConstrainedLayoutEngine(h_pad=0.07))
        FigureCanvasAgg(picture)
        grid = picture.subplots(2, 2).ravel()
        for axes, panel in zip(grid, (_class, _language, _lengths, _grades), strict=True):
            axes.set_title(panel(axes, d), loc="left")
        out = io.StringIO()
        picture.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _class(axes: "Axes", d: Distributions) -> str:
    columns = d.documents()
    name = next((name for name in CLASSES if name in columns), "")
    return _bars(axes, "documents", name, columns.get(name))


def _language(axes: "Axes", d: Distributions) -> str:
    """The languages of the documents or, where these do not say, of the queries."""
    rows, columns = "documents", d.documents()
    if "language" not in columns:
        rows, columns = "queries", d.topics()
    return _bars(axes, rows, "language", columns.get("language"))


def _lengths(axes: "Axes", d: Distributions) -> str:
    step = max(1, -(-max(d.lengths) // BINS))
    axes.hist(d.lengths, np.arange(0, max(d.lengths) + 2 * step, step), color=BLUE, ec="white")
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("words")
    axes.set_ylabel("documents")
    return f"length of the text ({d.lengths.count(0):,} of {len(d.corpus):,} are empty)"


def _grades(axes: "Axes", d: Distributions) -> str:
    """How many documents of each positive grade a query has in the mean; darker is better."""
    import matplotlib as mpl

    kinds, scale = d.kinds(), [grade for grade in d.scale if grade > 0]
    left = np.zeros(len(kinds))
    colours = mpl.colormaps["Blues_r"](np.linspace(0.1, 0.65, len(scale)))
    for grade, colour in zip(scale, colours, strict=True):
        wide = [np.mean([d.grades[i].count(grade) for i in rows]) for rows in kinds.values()]
        axes.barh(range(len(kinds)), wide, 0.7, left=left, color=colour, label=f"grade {grade}")
        left += wide
    _rows(axes, [f"{kind} ({len(rows)})" for kind, rows in kinds.items()])
    axes.legend(frameon=False)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("documents a query, in the mean")
    return "judged above 0, by kind (queries)"


def _bars(axes: "Axes", rows: str, name: str, values: Values | None) -> str:
    """A bar a value, with its number; the rest of the values in one grey bar."""
    if values is None:
        axes.set_axis_off()
        return ""
    names, counts = [value for value, _ in values.top], [number for _, number in values.top]
    if more := values.different - len(names):
        names.append(f"{more:,} more")
        counts.append(values.others)
    colours = [BLUE] * len(values.top) + [GREY] * bool(more)
    axes.bar_label(axes.barh(range(len(names)), counts, 0.7, color=colours), padding=2)
    _rows(axes, names)
    axes.margins(x=0.15)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params("x", bottom=False, labelbottom=False)
    return f"{rows} by {clean(name)} (of {values.filled:,})"


def _rows(axes: "Axes", names: list[str]) -> None:
    """The names of the rows, the first on top; a few rows do not fill the height."""
    shown = [n if len(n) <= NAME_LENGTH else f"{n[: NAME_LENGTH - 1]}…" for n in map(clean, names)]
    axes.set_yticks(range(len(names)), shown)
    axes.set_ylim(max(len(names), FEWEST_ROWS) - 0.4, -0.6)
    axes.tick_params("y", length=0)
