"""Figures cut into panels, so that a narrow screen stacks what a wide one sets in a row.

matplotlib's constrained layout looks at every panel twice, and pieces need a third look: more than
half the time of a report. A plain grid needs one.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

__all__ = ["Piece", "arrange", "both", "png", "svg"]

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


Rows = Sequence[Sequence[Sequence[Axes]]]
"""Rows of panels from the top; a panel is one axes, or several that belong together."""

DPI = 160
_LIGHT = "#d5dbe1"


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of a picture.

    Attributes:
        uri: The image as a data URI.
        wide: Its width beside the others, in percent.
        dark: The image for a dark page; without it the page inverts ``uri`` there.
        alone: Whether the piece, a legend, has its own row whatever its width.
    """

    uri: str
    wide: float = 100.0
    dark: str = ""
    alone: bool = False


def png(figure: Figure, rows: Rows | None = None) -> tuple[Piece, ...]:
    """Return a figure in PNG pieces, for pictures made of many points.

    Args:
        figure: A figure with one grid of panels, or with a layout engine of matplotlib.
        rows: The panels of the figure; without them the figure is one piece.
    """
    figure.set_dpi(DPI)  # before the layout, so that letters are measured once
    boxes = _boxes(figure, rows)
    pixels = _drawn(figure)
    return tuple(
        Piece(_png(_cut(pixels, box)), _width(box), alone=k == 0 and _has_legend(figure, rows))
        for k, box in enumerate(boxes)
    )


def both(figure: Figure, rows: Rows | None = None) -> tuple[Piece, ...]:
    """Return PNG pieces for a light page and for a dark one, with light labels and ticks there.

    A map of density or a photograph must not be inverted, as line drawings are on a dark page.
    """
    figure.set_dpi(DPI)
    boxes = _boxes(figure, rows)
    drawn = _drawn(figure)
    dark = _on_dark(figure, drawn)
    return tuple(Piece(_png(_cut(drawn, box)), _width(box), _png(_cut(dark, box))) for box in boxes)


def _on_dark(figure: Figure, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels with all labels and ticks outside of the panels in a light tone."""
    # The background is transparent, so its tone is not seen, and letters' edges keep their opacity.
    height, words = len(drawn), np.ones(drawn.shape[:2], dtype=bool)
    for axes in figure.axes:
        for part in (axes, *axes.patches):  # the patches are the ends of a colour bar
            (left, bottom), (right, top) = np.rint(part.get_window_extent().get_points()).astype(
                int
            )
            words[max(height - top, 0) : height - bottom, max(left, 0) : right] = False
    dark = drawn.copy()
    dark[words, :3] = np.rint(255 * np.array(to_rgb(_LIGHT)))
    return dark


def svg(figure: Figure, rows: Rows | None = None) -> tuple[Piece, ...]:
    """Return a figure in SVG pieces, sharp at any size, for pictures made of lines."""
    boxes = _boxes(figure, rows)
    panels = [None] if rows is None else [panel for row in rows for panel in row]
    size = figure.get_size_inches()
    pieces = []
    for panel, box in zip(panels, boxes, strict=True):
        for axes in figure.axes:
            axes.set_visible(panel is None or axes in panel)
        buffer = io.BytesIO()
        inches = Bbox(np.asarray(box.get_points()) * size)
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches=inches)
        uri = "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
        pieces.append(Piece(uri, _width(box)))
    return tuple(pieces)


def _boxes(figure: Figure, rows: Rows | None) -> list[Bbox]:
    """Fix a figure's layout and return boxes that tile it, in fractions, legends first."""
    boxes = _laid_out(figure)
    if rows is None:
        return [Bbox([[0, 0], [1, 1]])]
    extents = [[_extent(figure, panel, boxes) for panel in row] for row in rows]
    tops = [max(box.y1 for box in row) for row in extents]
    bottoms = [min(box.y0 for box in row) for row in extents]
    ends = [1.0, *((b + t) / 2 for b, t in zip(bottoms, tops[1:], strict=False)), 0.0]
    found = []
    if figure.legends:
        box = Bbox.union([legend.get_window_extent() for legend in figure.legends])
        box = _shares(figure, box)
        ends[0] = (box.y0 + tops[0]) / 2
        found.append(Bbox([[0, ends[0]], [min(box.x1 + 0.01, 1), 1]]))
    for row, top, bottom in zip(extents, ends, ends[1:], strict=False):
        gaps = [(a.x1 + b.x0) / 2 for a, b in itertools.pairwise(row)]
        sides = [0.0, *gaps, 1.0]
        found += [Bbox([[a, bottom], [b, top]]) for a, b in itertools.pairwise(sides)]
    return found


def _has_legend(figure: Figure, rows: Rows | None) -> bool:
    return rows is not None and bool(figure.legends)


def _laid_out(figure: Figure) -> dict[Axes, Bbox]:
    """Fix a figure's layout; return the boxes of its panels if the layout gives them."""
    engine = figure.get_layout_engine()
    if engine is None:
        # A figure that has been arranged is not laid out again.
        return arrange(figure) if any(axes.get_in_layout() for axes in figure.axes) else {}
    engine.execute(figure)
    # None, not "none", whose placeholder makes matplotlib draw everything twice when it saves.
    figure.set_layout_engine(None)
    return {}


def _extent(figure: Figure, panel: Sequence[Axes], known: dict[Axes, Bbox]) -> Bbox:
    if panel[0] in known:
        return Bbox.union([known[axes] for axes in panel])
    boxes = [axes.get_tightbbox() for axes in panel]
    return _shares(figure, Bbox.union([box for box in boxes if box is not None]))


def _shares(figure: Figure, box: Bbox) -> Bbox:
    return box.transformed(figure.transFigure.inverted())


def _drawn(figure: Figure) -> NDArray[np.uint8]:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def _cut(pixels: NDArray[np.uint8], box: Bbox) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    left, right = (round(fraction * width) for fraction in (box.x0, box.x1))
    top, bottom = (round((1 - fraction) * height) for fraction in (box.y1, box.y0))
    return pixels[top:bottom, left:right]


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    without: Any = {"Software": None}  # else the page would depend on matplotlib's version
    matplotlib.image.imsave(buffer, pixels, format="png", metadata=without)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _width(box: Bbox) -> float:
    """Return a width in percent, rounded down, so that the pieces of a row fit."""
    return int(1e5 * box.width) / 1e3
