"""A figure's second copy, for a dark page."""

from __future__ import annotations

from typing import Any

from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from wopt_report.style import BLUE, GREEN, INK, PURPLE, VERMILION

__all__ = ["darken"]

LIGHT, FAINT, GROUND = "#d5dbe1", "#3a424a", "#1a1c1e"
BRIGHTER = {
    INK: LIGHT,
    "#000000": LIGHT,
    BLUE: "#4aa8e0",
    VERMILION: "#f5823e",
    GREEN: "#2fbf8f",
    PURPLE: "#cf7cc6",
    "#56b4e9": "#bfe3fb",
    "#8a6d3b": "#c9ab72",
}
"""Colours that a dark page would swallow, and what stands for them there."""


def darken(figure: Figure) -> None:
    """Give a figure light words and ticks and brighter lines, for a dark page; maps stay."""
    for text in figure.findobj(Text):
        if to_hex(text.get_color()) != "#ffffff":
            text.set_color(LIGHT)
    for artist in figure.findobj(Line2D):
        artist.set_color(brighter(artist.get_color()))
        artist.set_markerfacecolor(brighter(artist.get_markerfacecolor()))
        artist.set_markeredgecolor(brighter(artist.get_markeredgecolor()))
    for part in figure.findobj(Collection):
        if part.get_array() is None:  # else a map of colours
            part.set_facecolor([brighter(c) for c in part.get_facecolor()])
            part.set_edgecolor([brighter(c) for c in part.get_edgecolor()])
    for frame in figure.findobj(Legend):
        frame.get_frame().set(facecolor=GROUND, edgecolor=GROUND)
    for axes in figure.axes:
        legend = axes.get_legend()
        for patch in [*axes.patches, *(legend.get_patches() if legend else [])]:
            if to_rgba(patch.get_edgecolor())[3]:
                patch.set_edgecolor(brighter(patch.get_edgecolor()))
            if patch.get_fill():
                patch.set_facecolor(brighter(patch.get_facecolor()))
        axes.tick_params(which="both", color=LIGHT, labelcolor=LIGHT)
        for grid in [*axes.get_xgridlines(), *axes.get_ygridlines()]:
            grid.set_color(FAINT)
        for spine in axes.spines.values():
            spine.set_edgecolor(LIGHT)


def brighter(colour: Any) -> Any:
    """Return what stands for a colour on a dark page, as opaque as it is."""
    if isinstance(colour, str) and colour == "none":
        return colour
    hexadecimal, opacity = to_hex(colour), to_rgba(colour)[3]
    known = {name.lower(): bright for name, bright in BRIGHTER.items()}
    return (*to_rgb(known[hexadecimal]), opacity) if hexadecimal in known else colour
