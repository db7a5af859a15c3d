"""Pictures of particles that move through the blocks."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from wopt.report.pieces import Piece, png
from wopt.report.read import Run
from wopt.report.style import ANGLES, INK, WIDTH, Array, Picture, limits

__all__ = ["coordinate", "most_unusual", "motion", "stage_title", "turns"]

Indices = NDArray[np.intp]

_PANELS = 9
_FOLLOWED = 7


def motion(run: Run, key: str) -> Picture | None:
    """Draw ``paths`` (data to noise) or ``backward`` (noise to data), one panel per block."""
    paths = run.arrays.get(key)
    if paths is None:
        return None
    paths = paths[:, np.isfinite(paths).all(axis=(0, 2))]
    if paths.shape[1] == 0:
        return None
    n = len(paths) - 1
    forward = key == "paths"
    # Both pictures show the same two coordinates, those that are unusual in the data.
    data = run.arrays["paths"][0] if "paths" in run.arrays else paths[-1]
    other = run.arrays.get("backward" if forward else "paths")
    # The goal of the particles is the target's samples, or the data.
    goal = None if other is None else other[0]
    chosen = most_unusual(data, 2)
    if paths.shape[2] == 1:
        pieces = png(_fan(paths[:, :, 0], forward))
    else:
        pieces = _panels(paths[:, :, chosen], goal, chosen, run, forward)
    begin, end = ("data", "noise") if run.pulls_back else ("the start", "the target")
    names = " and ".join(coordinate(run, j) for j in chosen)
    who = "Test rows" if forward else "Samples of the target"
    which = "" if paths.shape[2] <= 2 else " (the two with the least Gaussian marginals)"
    with_goal = ", until the last panel matches the grey points behind it" if n else ""
    return Picture(
        key,
        f"From {begin} to {end}" if forward else f"From {end} to {begin}",
        f"{who}, seen in {names}{which}, should become {end if forward else begin} block by block"
        + (with_goal if goal is not None and paths.shape[2] > 1 else "")
        + "; a particle keeps its colour"
        + (", and lines are a few particles' ways." if paths.shape[2] > 1 else "."),
        f"{paths.shape[1]} particles at {n + 1} stages of the flow.",
        pieces,
    )


def coordinate(run: Run, j: int) -> str:
    """Return the name of a coordinate of the flow."""
    names = run.labels.coordinates
    return names[j] if j < len(names) else f"coordinate {j + 1}"


def most_unusual(x: Array, number: int) -> tuple[int, ...]:
    """Return the columns of ``(n, d)`` with the largest |excess kurtosis|, in order."""
    centred = x - x.mean(axis=0)
    scale = np.sqrt(np.square(centred).mean(axis=0))
    varies = scale > 1e-12 * (1 + np.abs(x).max(axis=0))
    ratio = np.power(centred / np.where(varies, scale, 1), 4).mean(axis=0)
    kurtosis = np.where(varies, ratio - 3, 0)
    best = np.argsort(-np.abs(kurtosis), kind="stable")[:number]
    return tuple(sorted(int(j) for j in best))


def _panels(
    paths: Array, goal: Array | None, chosen: tuple[int, ...], run: Run, forward: bool
) -> tuple[Piece, ...]:
    n = len(paths) - 1
    shown = sorted({round(k) for k in np.linspace(0, n, min(n + 1, _PANELS))})
    columns = len(shown) if len(shown) <= 4 else math.ceil(len(shown) / math.ceil(len(shown) / 5))
    rows = math.ceil(len(shown) / columns)
    tail = 0.001 if goal is not None and goal.shape[1] == 2 else 0.005
    x, y = limits(paths[:, :, 0], tail), limits(paths[:, :, 1], tail)
    ratio = (y[1] - y[0]) / (x[1] - x[0])
    square = 0.5 < ratio < 2
    side = min((WIDTH - 0.7) / columns, 3.6)
    height = rows * (side * (ratio if square else 0.9) + 0.35) + 0.45
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    colours = ANGLES(turns(paths[0]))
    followed = _spread(paths[0], _FOLLOWED if columns <= 4 else _FOLLOWED // 2)
    for axes, k in zip(grid, shown, strict=False):
        if goal is not None and k == n and n > 0:
            end = goal[:, chosen]
            axes.scatter(end[:, 0], end[:, 1], s=9, c="#c3cad1", lw=0, rasterized=True)
        axes.scatter(paths[k, :, 0], paths[k, :, 1], s=5, c=colours, lw=0, alpha=0.85)
        _trails(axes, paths[: k + 1, followed], colours[followed])
        axes.set_xlim(x)
        axes.set_ylim(y)
        axes.set_title(stage_title(k, n, run, forward), fontsize=9.5)
        if square:
            axes.set_aspect("equal")
    grid[0].locator_params(nbins=4)  # applies to all panels, which share axes
    for axes in grid[len(shown) :]:
        axes.remove()
    below = [grid[i : i + columns] for i in range(0, len(shown), columns)]
    for row in below:
        row[0].set_ylabel(coordinate(run, chosen[1]))
    for axes in below[-1][: len(shown) - columns * (rows - 1)]:
        axes.set_xlabel(coordinate(run, chosen[0]))
    return png(figure, [[[axes] for axes in row if axes.figure is not None] for row in below])


def _fan(paths: Array, forward: bool) -> Figure:
    """Draw particles on a line: their positions over the blocks."""
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.subplots()
    order = paths[0].argsort().argsort() / max(paths.shape[1] - 1, 1)
    chosen = np.linspace(0, paths.shape[1] - 1, min(200, paths.shape[1])).astype(int)
    lines = [np.column_stack([np.arange(len(paths)), paths[:, i]]) for i in chosen]
    axes.add_collection(
        LineCollection(lines, colors=ANGLES(0.85 * order[chosen]), lw=0.7, alpha=0.7)
    )
    axes.scatter(
        np.repeat(np.arange(len(paths)), paths.shape[1]),
        paths.ravel(), s=4, c=INK, lw=0, alpha=0.25,
    )  # fmt: skip
    axes.set_xticks(range(0, len(paths), max(1, len(paths) // 10)))
    axes.set_xlabel("block" if forward else "blocks undone")
    axes.set_ylabel("coordinate")
    axes.set_ylim(limits(paths))
    return figure


def _trails(axes: Axes, paths: Array, colours: Array) -> None:
    halo = [withStroke(linewidth=2.6, foreground="white")]
    for i in range(paths.shape[1]):
        axes.plot(paths[:, i, 0], paths[:, i, 1], color=INK, lw=1.1, path_effects=halo, zorder=4)
    axes.scatter(
        paths[-1, :, 0], paths[-1, :, 1], s=30, c=colours, edgecolors="white", lw=1.6, zorder=5
    )
    axes.scatter(
        paths[-1, :, 0], paths[-1, :, 1], s=26, c=colours, edgecolors=INK, lw=0.9, zorder=6
    )


def stage_title(k: int, n: int, run: Run, forward: bool) -> str:
    """Return the title of the stage after ``k`` of ``n`` blocks, applied or undone."""
    if k == 0:
        label = "preprocessed data" if run.pulls_back else "start"
        return label if forward else "samples of the target"
    if not forward:
        return "all blocks undone" if k == n else f"block {n + 1 - k} undone"
    h = next((r.step_size for r in run.steps if r.step == k), None)
    return f"block {k}" + ("" if h is None else f", h = {h:.3g}")


def turns(particles: Array) -> Array:
    """Return each particle's angle about the middle, as a fraction of a turn, shape ``(n,)``."""
    centred = particles - np.median(particles, axis=0)
    scale = np.maximum(np.std(centred, axis=0), 1e-12)
    angle = np.arctan2(centred[:, 1] / scale[1], centred[:, 0] / scale[0]) / (2 * np.pi)
    shares: Array = angle % 1.0
    return shares


def _spread(particles: Array, number: int) -> Indices:
    """Return indices of particles far from each other, for the lines to lie apart."""
    inside = (
        np.abs(particles - np.median(particles, axis=0)) <= 2.2 * np.std(particles, axis=0) + 1e-12
    )
    candidates = np.flatnonzero(inside.all(axis=1))
    if len(candidates) <= number:
        return candidates if len(candidates) else np.arange(min(number, len(particles)))
    points = particles[candidates] / np.maximum(np.std(particles, axis=0), 1e-12)
    chosen = [int(np.square(points - points.mean(axis=0)).sum(1).argmin())]
    distance = np.square(points - points[chosen[0]]).sum(1)
    while len(chosen) < number:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.square(points - points[chosen[-1]]).sum(1))
    spread: Indices = candidates[chosen]
    return spread
