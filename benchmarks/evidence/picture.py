"""The pictures of the page of evidence: every run beside published figures."""

from __future__ import annotations

import hashlib
import json
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from catalogue import CONFIGS, Group, slug
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from page import Figures, current, figures
from runner import FORMAT
from wopt_style import page_style

from wopt_report.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, VERMILION

__all__ = ["draw", "panels", "stamp"]

Line = dict[str, Any]
Panel = dict[str, Figures]
"""By the label of a row."""

SHAPES = "sD^vPX*h"
COLOURS = (VERMILION, ORANGE, GREEN, PURPLE, MUTED)
HEAD, LINE, LONG = 1.0, 0.27, 40
"""Inches of a panel's title and axis, and of each row; labels beyond which panels are wide."""


def panels(group: Group, lines: Sequence[Line], folder: Path = CONFIGS) -> dict[str, Panel]:
    """Return what is drawn of a group, by title and label; only what was measured.

    A panel is a measure and has a row for each problem; or, where the group asks for that, it is
    a problem, and has a row for wopt and each of the others.
    """
    found: dict[str, Panel] = {}
    for row in group.row:
        some = current(row, lines, group.name, folder)
        for measure in row.measure:
            one = figures(measure, some)
            if one.values and group.panels == "measure":
                found.setdefault(measure.name, {})[row.problem] = one
            elif one.values and one.others:
                found[f"{row.problem}: {measure.name}"] = _by_who(one)
    return found


def _by_who(found: Figures) -> Panel:
    """Return a row for wopt and one for each figure beside it."""
    return {"wopt": Figures(found.values, ())} | {
        one.who + ("" if one.comparable else " (other rows)"): Figures((), (one,))
        for one in found.others
    }


def stamp(shown: dict[str, Panel]) -> str:
    """Return what a picture says of itself: which results it was drawn from."""
    numbers = {
        title: {
            label: (one.values, [str(other) for other in one.others]) for label, one in p.items()
        }
        for title, p in shown.items()
    }
    digest = hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:16]
    return f"results of format {FORMAT}: {digest}"


def draw(group: Group, lines: Sequence[Line], images: Path, folder: Path = CONFIGS) -> Path | None:
    """Write the picture of a group and return its file; none if nothing was measured."""
    shown = panels(group, lines, folder)
    if not shown:
        return None
    path = images / f"evidence-{slug(group.name)}.svg"
    wide = max(len(label) for panel in shown.values() for label in panel) > LONG
    columns = 1 if wide else min(len(shown), 2)
    order = sorted(shown.items(), key=lambda item: -len(item[1]))  # the long ones side by side
    heights = [HEAD + LINE * len(panel) for _, panel in order[::columns]]
    with page_style(), plt.rc_context({"svg.hashsalt": "wopt", "svg.fonttype": "none"}):
        figure, axes = plt.subplots(
            len(heights), columns, figsize=(10 if wide else 6.2 * columns, sum(heights) + 0.5),
            layout="constrained", squeeze=False, height_ratios=heights,
        )  # fmt: skip
        looks = _looks(shown)
        for one, (title, panel) in zip(axes.flat, order, strict=False):
            _panel(one, title, panel, looks)
        for empty in axes.flat[len(shown) :]:
            empty.set_axis_off()
        if group.panels == "measure":
            _legend(figure, axes)
        about = {"Date": None, "Description": stamp(shown)}
        figure.savefig(path, metadata=about, facecolor="white")
        plt.close(figure)
    return path


def _looks(shown: dict[str, Panel]) -> dict[str, tuple[str, str]]:
    """Return the colour and the mark of everybody who is drawn."""
    names = dict.fromkeys(o.who for p in shown.values() for one in p.values() for o in one.others)
    return {
        who: (COLOURS[k % len(COLOURS)], SHAPES[k % len(SHAPES)]) for k, who in enumerate(names)
    }


def _legend(figure: Any, axes: Any) -> None:
    handles = {
        text: handle
        for one in axes.flat
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9)


def _panel(axes: Axes, title: str, panel: Panel, looks: dict[str, tuple[str, str]]) -> None:
    for at, found in enumerate(panel.values()):
        _row(axes, at, found, looks)
    everything = [
        value
        for one in panel.values()
        for value in (*one.values, *(other.value for other in one.others))
    ]
    if min(everything) > 0 and max(everything) > 20 * min(everything):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.08)
    axes.set_yticks(range(len(panel)), list(panel))
    axes.set_ylim(len(panel) - 0.5, -0.5)
    axes.set_title("\n".join(textwrap.wrap(title, 60)))


def _row(axes: Axes, at: int, found: Figures, looks: dict[str, tuple[str, str]]) -> None:
    if found.values:
        axes.plot(found.values, [at] * len(found.values), ".", color=BLUE, alpha=0.5, ms=5)
        axes.plot(statistics.mean(found.values), at, "o", color=BLUE, ms=7, label="wopt (mean)")
    for other in found.others:
        colour, shape = looks[other.who]
        alpha = 1.0 if other.comparable else 0.4
        axes.plot(
            other.value, at, shape, color=colour, ms=5.5, mfc="none", label=other.who, alpha=alpha
        )
