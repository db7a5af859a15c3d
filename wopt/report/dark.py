"""Pictures with colours of their own, drawn once for a light page and once for a dark one."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text

from wopt.report.style import png

__all__ = ["in_both"]

_LIGHT = "#d5dbe1"


def in_both(figure: Figure) -> tuple[str, str]:
    """Return a figure as data URIs: as drawn, and with light words and ticks.

    A map of density or a photograph must not be inverted, as line drawings are on a dark page.
    """
    drawn = png(figure)
    for text in figure.findobj(Text):
        text.set_color(_LIGHT)
    for axes in figure.axes:
        axes.tick_params(color=_LIGHT, labelcolor=_LIGHT)
        for spine in axes.spines.values():
            spine.set_edgecolor(_LIGHT)
    return drawn, png(figure)
