"""Matplotlib in the style of wopt's reports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import matplotlib.style

from wopt_report.style import INK, MUTED

__all__ = ["page_style"]

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
    "grid.color": "#e3e7eb",
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


@contextlib.contextmanager
def page_style() -> Iterator[None]:
    """Draw figures of matplotlib in the page's style, whatever the user's own settings are."""
    with matplotlib.style.context(["default", _RC]):
        yield
