"""How pictures look, and how they become part of a page."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from wopt.report.numbers import number

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
    "png",
    "svg",
]

Array = NDArray[np.float64]

# Okabe and Ito's palette: told apart by people with any colour vision.
BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#AA4499"
INK, MUTED, FAINT = "#1f2933", "#5f6b76", "#e3e7eb"

WIDTH = 9.6
"""Width of every figure in inches."""

# A cycle, for angles, whose neighbours also differ in lightness and none of which is pale.
ANGLES = LinearSegmentedColormap.from_list(
    "angles", ["#40207a", "#2166ac", "#1a9e8f", "#e0a526", "#c8452c", "#7d1d63", "#40207a"]
)

_RC: dict[str, Any] = {
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
    "figure.constrained_layout.use": True,
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
        title: Above the picture.
        caption: One sentence that says what to look for.
        alt: What is to be seen, for people who do not see it.
        uri: The picture itself, a data URI.
        dark: The same for a dark page; without it the page inverts the picture there.
    """

    key: str
    title: str
    caption: str
    alt: str
    uri: str
    dark: str = ""


@contextlib.contextmanager
def page_style() -> Iterator[None]:
    """Draw and save in the page's style, whatever the user's own matplotlib settings are."""
    with matplotlib.style.context(["default", _RC]):
        yield


def png(figure: Figure) -> str:
    """Return the figure as a data URI, for pictures made of many points."""
    figure.set_dpi(160)
    _lay_out(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def svg(figure: Figure) -> str:
    """Return the figure as a data URI, sharp at any size, for pictures made of lines."""
    _lay_out(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _lay_out(figure: Figure) -> None:
    """Place everything once: ``savefig`` would draw the figure twice and lay it out each time."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        with matplotlib.rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)


def decades(axes: Axes) -> None:
    """Label a logarithmic axis by powers of ten, plainly: each mathematical text costs time.

    Where it spans less than a decade the ticks between are labelled too.
    """
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 3)))
    if high >= 10 * low:
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: number(value, 2)))


def limits(values: Array, tail: float = 0.002) -> tuple[float, float]:
    """Return a padded range that holds all finite values but a share ``tail`` at either end."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return -1.0, 1.0
    low, high = np.quantile(values, [tail, 1 - tail])
    pad = 0.06 * (high - low) or 0.5 * max(abs(high), 1.0)
    return float(low - pad), float(high + pad)


def bare(axes: Axes) -> None:
    """Leave nothing of the axes but what is drawn in them."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
