"""The style of pictures, and their place on a page."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from wopt.report.pages import number
from wopt.report.pieces import Piece

__all__ = [
    "ANGLES",
    "BLUE",
    "GREEN",
    "INK",
    "MUTED",
    "ORANGE",
    "PURPLE",
    "VERMILION",
    "WIDTH",
    "Array",
    "Picture",
    "decades",
    "limits",
    "page_style",
]

Array = NDArray[np.float64]

# Okabe and Ito's palette can be told apart with any colour vision.
BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#AA4499"
INK, MUTED, FAINT = "#1f2933", "#5f6b76", "#e3e7eb"

WIDTH = 9.6
"""Width of every figure in inches."""

# A cycle of colours for angles; neighbours also differ in lightness, and none is pale.
ANGLES = LinearSegmentedColormap.from_list(
    "angles", ["#40207a", "#2166ac", "#1a9e8f", "#e0a526", "#c8452c", "#7d1d63", "#40207a"]
)

_RC: dict[str, Any] = {
    "text.parse_math": False,  # names of columns are not formulas
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa5b1",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # fixed, which saves a search for objects above a panel
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.edgecolor": "white",
    "legend.framealpha": 0.85,
    "legend.facecolor": "white",
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "wopt",
    "xtick.color": "#9aa5b1",
    "xtick.labelcolor": MUTED,
    "ytick.color": "#9aa5b1",
    "ytick.labelcolor": MUTED,
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        key: The element's id.
        title: The heading above the picture.
        caption: One sentence on what to look for.
        alt: A description for people who cannot see the picture.
        pieces: The picture itself, in parts that a narrow screen stacks.
    """

    key: str
    title: str
    caption: str
    alt: str
    pieces: tuple[Piece, ...]


@contextlib.contextmanager
def page_style() -> Iterator[None]:
    """Draw and save in the page's style, whatever the user's own matplotlib settings are."""
    with matplotlib.style.context(["default", _RC]):
        yield


def decades(axes: Axes) -> None:
    """Label a logarithmic axis by powers of ten in plain text, which is faster than mathtext.

    Where it spans less than a decade the ticks between are labelled too.
    """
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 3)))
    if high >= 10 * low:
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: number(value, 2)))


def limits(values: Array, tail: float = 0.002) -> tuple[float, float]:
    """Return a padded range that holds all finite values but a fraction ``tail`` at either end."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return -1.0, 1.0
    low, high = np.quantile(values, [tail, 1 - tail])
    pad = 0.06 * (high - low) or 0.5 * max(abs(high), 1.0)
    return float(low - pad), float(high + pad)


def bare(axes: Axes) -> None:
    """Remove ticks, grid and frame from the axes."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
