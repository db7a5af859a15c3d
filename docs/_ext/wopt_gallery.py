"""Pictures of the gallery: the report's style, a light and a dark copy, alternative text.

A script gives a figure's alternative text by ``figure.set_label(...)``; without one its titles
serve. Both copies are in the page, and the theme shows the one that fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure
from wopt_dark import darken
from wopt_style import page_style

from wopt_report.style import BLUE, GREEN, ORANGE, PURPLE, VERMILION

__all__ = ["fresh", "order", "save_both", "scrape", "text_of"]

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
    cycle = cycler(color=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, "#56b4e9", "#8a6d3b", "#7f7f7f"])
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
