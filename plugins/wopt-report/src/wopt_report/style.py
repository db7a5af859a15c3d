"""The style of pictures, and their place on a page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wopt_report.charts import Chart

Array = NDArray[np.float64]

# Okabe and Ito's palette can be told apart with any colour vision.
BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#AA4499"
INK, MUTED = "#1f2933", "#5f6b76"


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


def limits(values: Array, tail: float = 0.002) -> tuple[float, float]:
    """Return a padded range that holds all finite values but a fraction ``tail`` at either end."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return -1.0, 1.0
    low, high = np.quantile(values, [tail, 1 - tail])
    pad = 0.06 * (high - low) or 0.5 * max(abs(high), 1.0)
    return float(low - pad), float(high + pad)
