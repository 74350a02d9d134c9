"""The figure of the page on penalties, as SVG: the same numbers give the same file."""

import io
from collections.abc import Mapping

from bench.stats import Interval
from reports.plots import BLUE, GREY, WIDTH, style
from tools.penalties_page import shown


def draw(differences: Mapping[str, Mapping[str, Interval]], label: str) -> str:
    """Differences to no penalties: a panel for each kind of question, a row for each arm.

    Blue where an interval leaves 0 out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        picture = Figure((WIDTH, 2.6), layout="constrained")
        FigureCanvasAgg(picture)
        panels = picture.subplots(1, len(differences), sharex=True, sharey=True)
        for axes, (kind, arms) in zip(panels, differences.items(), strict=True):
            axes.set_title(kind, loc="left", fontsize=9)
            axes.axvline(0, color=GREY, lw=1)
            for row, found in enumerate(arms.values()):
                colour = BLUE if shown(found) else GREY
                ends = [found.low, found.high]
                axes.plot(ends, [row, row], color=colour, lw=2, solid_capstyle="butt")
                axes.plot(found.mean, row, "o", color=colour, ms=5)
            axes.set_yticks(range(len(arms)), list(arms))
            axes.set_ylim(len(arms) - 0.5, -0.5)
            axes.grid(visible=False, axis="y")
            axes.tick_params(labelsize=8)
        picture.supxlabel(label, fontsize=9)
        out = io.StringIO()
        picture.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
