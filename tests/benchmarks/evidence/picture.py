"""The pictures of the page of evidence: every run beside published figures, a panel a measure."""

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
from page import Figures, current, figures
from runner import FORMAT

from wopt.report.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, VERMILION, page_style

__all__ = ["draw", "panels", "stamp"]

Line = dict[str, Any]
Panel = dict[str, Figures]
"""By problem."""

SHAPES = "sD^vPX*h"
COLOURS = (VERMILION, ORANGE, GREEN, PURPLE, MUTED)


def panels(group: Group, lines: Sequence[Line], folder: Path = CONFIGS) -> dict[str, Panel]:
    """Return what is drawn of a group: by measure, by problem; only what was measured."""
    found: dict[str, Panel] = {}
    for row in group.row:
        some = current(row, lines, group.name, folder)
        for measure in row.measure:
            one = figures(measure, some)
            if one.values:
                found.setdefault(measure.name, {})[row.problem] = one
    return found


def stamp(shown: dict[str, Panel]) -> str:
    """Return what a picture says of itself: which results it was drawn from."""
    numbers = {
        name: {problem: (one.values, one.others) for problem, one in panel.items()}
        for name, panel in shown.items()
    }
    digest = hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:16]
    return f"results of format {FORMAT}: {digest}"


def draw(group: Group, lines: Sequence[Line], images: Path, folder: Path = CONFIGS) -> Path | None:
    """Write the picture of a group and return its file; none if nothing was measured."""
    shown = panels(group, lines, folder)
    if not shown:
        return None
    problems = [row.problem for row in group.row if any(row.problem in p for p in shown.values())]
    names = dict.fromkeys(
        who for panel in shown.values() for one in panel.values() for who, _, _ in one.others
    )
    looks = {
        who: (COLOURS[k % len(COLOURS)], SHAPES[k % len(SHAPES)]) for k, who in enumerate(names)
    }
    path = images / f"evidence-{slug(group.name)}.svg"
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    with page_style(), plt.rc_context({"svg.hashsalt": "wopt", "svg.fonttype": "none"}):
        size = (3.6 * columns + 1.2, rows * (1.4 + 0.26 * len(problems)))
        figure, axes = plt.subplots(
            rows, columns, figsize=size, layout="constrained", sharey=True, squeeze=False
        )
        for one, (name, panel) in zip(axes.flat, shown.items(), strict=False):
            _panel(one, name, panel, problems, looks)
        for empty in axes.flat[len(shown) :]:
            empty.set_axis_off()
        handles = {
            text: handle
            for one in axes.flat
            for handle, text in zip(*one.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8
        )
        about = {"Date": None, "Description": stamp(shown)}
        figure.savefig(path, metadata=about, facecolor="white")
        plt.close(figure)
    return path


def _panel(
    axes: Axes,
    name: str,
    panel: Panel,
    problems: Sequence[str],
    looks: dict[str, tuple[str, str]],
) -> None:
    for at, problem in enumerate(problems):
        if problem not in panel:
            continue
        found = panel[problem]
        axes.plot(found.values, [at] * len(found.values), ".", color=BLUE, alpha=0.5, ms=5)
        axes.plot(statistics.mean(found.values), at, "o", color=BLUE, ms=7, label="wopt (mean)")
        for who, value, _ in found.others:
            colour, shape = looks[who]
            axes.plot(value, at, shape, color=colour, ms=5.5, mfc="none", label=who)
    everything = [
        value
        for one in panel.values()
        for value in (*one.values, *(value for _, value, _ in one.others))
    ]
    if min(everything) > 0 and max(everything) > 20 * min(everything):
        axes.set_xscale("log")
    axes.set_yticks(range(len(problems)), problems)
    axes.set_ylim(len(problems) - 0.5, -0.5)
    axes.set_title("\n".join(textwrap.wrap(name, 30)))
