"""Pictures of the gallery: the report's style, a light and a dark copy, alternative text.

A script gives a figure's alternative text by ``figure.set_label(...)``; without one its titles
serve. Both copies are in the page, and the theme shows the one that fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from wopt.report.style import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILION, page_style

__all__ = ["darken", "fresh", "order", "save_both", "scrape", "text_of"]

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

ORDER = (
    "data_to_noise", "patches", "table", "conditional", "cells", "picture",
    "samplers", "logistic_regression", "posterior",
    "certificate", "bounds",
    "schemes", "schemes_exact", "fokker_planck", "porous_medium",
    "own_objective", "own_scheme", "own_block",
)  # fmt: skip
"""Scripts as a reader may go through them: data, posteriors, certificates, schemes, own parts."""

IMAGE = """
.. image:: /{path}
   :alt: {alt}
   :class: sphx-glr-single-img {which}
"""


def fresh(_settings: dict[str, Any], _script: str | None) -> None:
    """Begin a script in the style of wopt's reports, whatever the one before it changed."""
    plt.rcdefaults()
    with page_style():
        style = dict(plt.rcParams)
    style.pop("backend", None)
    cycle = plt.cycler(
        color=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, "#56b4e9", "#8a6d3b", "#7f7f7f"]
    )
    plt.rcParams.update({**style, "figure.constrained_layout.use": False, "axes.prop_cycle": cycle})


def order(script: str) -> tuple[int, str]:
    """Return where a script stands in the gallery; one that is not listed comes last."""
    name = Path(script).stem.removeprefix("plot_")
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def text_of(figure: Figure) -> str:
    """Return a figure's alternative text: its label, or its titles."""
    label = str(figure.get_label())
    titles = [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]
    return " ".join((label or "; ".join(t for t in titles if t)).split())


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
        if legend is not None:
            legend.get_frame().set(facecolor=GROUND, edgecolor=GROUND)


def brighter(colour: Any) -> Any:
    """Return what stands for a colour on a dark page, as opaque as it is."""
    if isinstance(colour, str) and colour == "none":
        return colour
    hexadecimal, opacity = to_hex(colour), to_rgba(colour)[3]
    known = {name.lower(): bright for name, bright in BRIGHTER.items()}
    return (*to_rgb(known[hexadecimal]), opacity) if hexadecimal in known else colour


def save_both(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Save a figure for a light and, beside it, for a dark page."""
    dark = path.with_name(f"{path.stem}_dark{path.suffix}")
    figure.draw_without_rendering()  # or the first layout may be cut off
    figure.savefig(path, dpi=160)
    darken(figure)
    figure.savefig(dark, dpi=160)
    return path, dark


def scrape(_block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Save the open figures and return the text that shows them, for sphinx-gallery."""
    source, shown = Path(settings["src_dir"]), []
    for number, name in zip(plt.get_fignums(), variables["image_path_iterator"], strict=False):
        figure = plt.figure(number)
        alt = text_of(figure)
        for path, which in zip(
            save_both(figure, Path(name)), ("only-light", "only-dark"), strict=True
        ):
            reference = path.relative_to(source).as_posix()
            shown.append(IMAGE.format(path=reference, alt=alt, which=which))
    plt.close("all")
    return "\n".join(shown)
