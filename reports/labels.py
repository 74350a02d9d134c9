"""Labels beside points, where they cover least."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

OFFSETS = [
    (6 * scale * dx, 6 * scale * dy)
    for scale in (1, 2, 3, 4)
    for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 2), (0, -2))
]
"""Where to try, in points right and up; the first of the best is taken."""

OUTSIDE, COVERS, CROSSES, FAR = 100, 10, 1, 0.05
"""How bad a place is: out of the frame, over a point or label, over a line, a point further."""


def place(labels: Sequence["Annotation"], axes: "Axes", obstacles: Sequence["Line2D"]) -> None:
    """Move each label to where it covers least of the lines, points and labels before it."""
    picture = axes.get_figure(root=True)
    assert picture is not None
    for label in labels:
        label.set(in_layout=False, anncoords="offset points")
    picture.draw_without_rendering()
    renderer: Any = picture.canvas.get_renderer()  # type: ignore[attr-defined]  # Agg has one
    frame = axes.get_window_extent(renderer)
    taken = [
        (
            CROSSES if line.get_marker() == "None" else COVERS,
            line.get_window_extent(renderer).padded(2),
        )
        for line in obstacles
    ]
    for label in labels:
        trials = []
        for offset in OFFSETS:
            box = _move(label, offset, renderer)
            outside = not (frame.x0 < box.x0 and box.x1 < frame.x1)
            outside |= not (frame.y0 < box.y0 and box.y1 < frame.y1)
            covered = sum(weight * box.overlaps(other) for weight, other in taken)
            trials.append(OUTSIDE * outside + covered + FAR * abs(offset[1]))
        taken.append((COVERS, _move(label, OFFSETS[int(np.argmin(trials))], renderer)))


def _move(label: "Annotation", offset: tuple[int, int], renderer: Any) -> Any:  # both Agg's own
    """Put the label at *offset* from its point; the box it then fills."""
    x, y = offset
    side = "left" if x > 0 else "right" if x < 0 else "center"
    label.set(position=offset, ha=side, va="bottom" if y > 0 else "top")
    return label.get_window_extent(renderer)
