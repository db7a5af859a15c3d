"""The style of pictures, and their place on a page."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wopt.report.charts import Chart

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "MUTED",
    "ORANGE",
    "PURPLE",
    "VERMILION",
    "Array",
    "Picture",
    "limits",
    "page_style",
]

Array = NDArray[np.float64]

# Okabe and Ito's palette can be told apart with any colour vision.
BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#AA4499"
INK, MUTED, FAINT = "#1f2933", "#5f6b76", "#e3e7eb"

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
    """A picture of the page: charts side by side, or in a column on a narrow screen.

    Attributes:
        key: The element's id.
        title: The heading above the picture.
        caption: One sentence on what to look for.
        alt: A description for people who cannot see the picture.
        charts: The panels.
    """

    key: str
    title: str
    caption: str
    alt: str
    charts: tuple[Chart, ...]

    @property
    def legend(self) -> list[tuple[str, str]]:
        """The names of the marks with their colours, each once."""
        return list(dict.fromkeys(entry for chart in self.charts for entry in chart.legend))


@contextlib.contextmanager
def page_style() -> Iterator[None]:
    """Draw figures of matplotlib in the page's style, whatever the user's own settings are."""
    import matplotlib.style

    with matplotlib.style.context(["default", _RC]):
        yield


def limits(values: Array, tail: float = 0.002) -> tuple[float, float]:
    """Return a padded range that holds all finite values but a fraction ``tail`` at either end."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return -1.0, 1.0
    low, high = np.quantile(values, [tail, 1 - tail])
    pad = 0.06 * (high - low) or 0.5 * max(abs(high), 1.0)
    return float(low - pad), float(high + pad)
