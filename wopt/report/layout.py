"""The layout of a grid of panels with their labels, in a single pass.

matplotlib's constrained layout measures every panel twice, and pieces need a third pass, which is
much of the time of a report. A plain grid needs one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.transforms import Bbox

__all__ = ["arrange"]

_PAD = 0.05
"""Padding in inches around each panel with its labels."""


def arrange(figure: Figure) -> dict[Axes, Bbox]:
    """Place the panels of one grid in the room that their labels and the legends leave.

    Returns:
        The box of each panel with its labels, in fractions of the figure's sides.
    """
    (width, height), pad = figure.bbox.size, _PAD * figure.dpi
    height -= max((one.get_window_extent().height for one in figure.legends), default=0.0)
    panels = [_Panel.of(axes) for axes in figure.axes]
    grid: Any = panels[0].grid  # its ratios are typed as Any
    sides = (
        _intervals(
            width, pad, [(p.column, p.left, p.right) for p in panels], grid.get_width_ratios()
        ),
        _intervals(
            height, pad, [(p.row, p.above, p.below) for p in panels], grid.get_height_ratios()
        ),
    )
    boxes = {}
    for panel in panels:
        (a, left, right, b), (c, top, bottom, d) = sides[0][panel.column], sides[1][panel.row]
        inner = Bbox([[left, height - bottom], [right, height - top]])
        outer = Bbox([[a, height - d], [b, height - c]])
        panel.axes.set_position(inner.transformed(figure.transFigure.inverted()))
        boxes[panel.axes] = outer.transformed(figure.transFigure.inverted())
    return boxes


@dataclasses.dataclass(frozen=True)
class _Panel:
    """A panel, its place in the grid, and the size of its labels on each side, in pixels."""

    axes: Axes
    grid: GridSpecBase
    row: int
    column: int
    left: float
    right: float
    above: float
    below: float

    @classmethod
    def of(cls, axes: Axes) -> _Panel:
        place, whole = axes.get_subplotspec(), axes.get_tightbbox(bbox_extra_artists=[])
        assert place is not None
        assert whole is not None
        inside = axes.get_window_extent()
        return cls(
            axes,
            place.get_gridspec(),
            place.rowspan.start,
            place.colspan.start,
            inside.x0 - whole.x0,
            whole.x1 - inside.x1,
            whole.y1 - inside.y1,
            inside.y0 - whole.y0,
        )


def _intervals(
    size: float, pad: float, words: Sequence[tuple[int, float, float]], ratios: Sequence[float]
) -> list[tuple[float, float, float, float]]:
    """Return the start of each row or column, the ends of its panels, and its own end."""
    before, after = [0.0] * len(ratios), [0.0] * len(ratios)
    for k, first, last in words:
        before[k], after[k] = max(before[k], first), max(after[k], last)
    room = size - sum(before) - sum(after) - 2 * pad * len(ratios)
    at, found = 0.0, []
    for first, last, ratio in zip(before, after, ratios, strict=True):
        begin = at + pad + first
        end = begin + room * ratio / sum(ratios)
        found.append((at, begin, end, end + last + pad))
        at = end + last + pad
    return found
