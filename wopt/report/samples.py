"""Pictures of generated samples beside the data, and of a model's density in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from wopt.report.motion import most_unusual
from wopt.report.pieces import both, png
from wopt.report.read import Run
from wopt.report.style import BLUE, MUTED, VERMILION, WIDTH, Array, Picture, bare, limits

__all__ = [
    "column",
    "comparison_caption",
    "density",
    "images",
    "legend",
    "marginals",
    "pairs",
    "scatter",
    "title",
]

_COLUMNS = 4


def images(run: Run) -> Picture | None:
    """Draw real and generated images on two sheets with one grey scale."""
    real, generated = run.arrays.get("real_images"), run.arrays.get("generated_images")
    sheets = [
        (title, x)
        for title, x in (("Real (test rows)", real), ("Generated", generated))
        if x is not None
    ]
    if not sheets:
        return None
    scale = sheets[0][1]
    low, high = np.quantile(scale[np.isfinite(scale)], [0.02, 0.98])
    layout = ConstrainedLayoutEngine(wspace=0.08)
    figure = Figure(figsize=(WIDTH, WIDTH / 2 + 0.1), layout=layout)
    for axes, (title, x) in zip(figure.subplots(1, 2), sheets, strict=False):
        axes.imshow(_sheet(x), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(title)
    for axes in figure.axes:
        bare(axes)
    return Picture(
        "images",
        "Generated beside real" if len(sheets) == 2 else sheets[0][0],
        "With one grey scale for both, the sheets should look alike: the same contrast, edges and "
        "smoothness, and no picture that could not be on the other sheet."
        if len(sheets) == 2
        else "There is nothing to compare it with.",
        " and ".join(f"{len(x)} pictures, {title.lower()}" for title, x in sheets) + ".",
        both(figure, [[[one] for one in figure.axes]]),
    )


def _sheet(x: Array) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the images on a square sheet, with a white line between them."""
    n, h, w = x.shape
    side = int(np.ceil(np.sqrt(n)))
    gap = max(1, round(max(h, w) / 12))
    sheet = np.full((side * (h + gap) - gap, side * (w + gap) - gap), np.nan)
    for k in range(n):
        i, j = divmod(k, side)
        sheet[i * (h + gap) :, j * (w + gap) :][:h, :w] = x[k]
    return np.ma.masked_invalid(sheet)


def pairs(run: Run) -> Picture | None:
    """Draw generated and real rows: all pairs of up to four columns, and their marginals."""
    generated, real = run.arrays.get("generated"), run.arrays.get("real")
    if generated is None:
        return None
    generated = generated[np.isfinite(generated).all(axis=1)]
    if len(generated) == 0:
        return None
    scale = generated if real is None else real
    chosen = most_unusual(scale, _COLUMNS)
    k = len(chosen)
    figure = Figure(figsize=(WIDTH, 3.6 if k == 1 else WIDTH if k > 3 else 0.85 * WIDTH))
    _grid_of_pairs(figure.subplots(k, k, squeeze=False), run, generated, real, chosen)
    legend(figure, run, real is not None)
    caption = comparison_caption(run, real is not None)
    if real is not None:
        caption = "The outlines " + ("on the diagonal " if k > 1 else "") + "should coincide"
        if k > 1:
            caption += ", and each panel above it should mirror the one below it"
    if scale.shape[1] > _COLUMNS:
        caption += f"; shown are the {k} columns with the least Gaussian marginals"
    return Picture(
        "pairs",
        title(run, real is not None) + (", column by column" if k > 1 else ""),
        caption + ".",
        f"Scatter plots and marginal histograms of {len(generated)} generated"
        + (f" and {len(real)} real rows." if real is not None else " rows."),
        png(figure),
    )


def _grid_of_pairs(
    grid: Any, run: Run, generated: Array, real: Array | None, chosen: Sequence[int]
) -> None:
    """Draw marginals on the diagonal, real rows below it and generated ones above it."""
    k, scale = len(chosen), generated if real is None else real
    ranges = {j: limits(scale[:, j], 0.003) for j in chosen}
    for a, i in enumerate(chosen):
        for b, j in enumerate(chosen):
            axes = grid[a, b]
            axes.set_xlim(ranges[j])
            if a == b:
                marginals(axes, generated[:, i], None if real is None else real[:, i], ranges[i])
            else:
                # Real rows are below the diagonal, generated ones above, so that neither hides the
                # other and mirrored panels can be compared.
                x = real if a > b and real is not None else generated
                colour = BLUE if a > b and real is not None else VERMILION
                axes.scatter(x[:, j], x[:, i], s=5, c=colour, lw=0, alpha=0.5)
                axes.set_ylim(ranges[i])
            if a == k - 1:
                axes.set_xlabel(column(run, j))
            if b == 0 and k > 1:
                axes.set_ylabel(column(run, i))
            axes.tick_params(labelbottom=a == k - 1, labelleft=b == 0 and a != b)
            axes.locator_params(nbins=4)


def title(run: Run, with_real: bool) -> str:
    """Return the title of a picture of samples."""
    if not with_real:
        return "Generated"
    return "Generated beside real" if run.pulls_back else "Generated beside the target"


def comparison_caption(run: Run, with_real: bool) -> str:
    """Return a caption for samples without anything to compare them with, empty otherwise."""
    what = "real rows" if run.pulls_back else "samples of the minimiser"
    return "" if with_real else f"There are no {what} to compare these with"


def legend(figure: Figure, run: Run, with_real: bool) -> None:
    """Add a legend of the colours above a figure."""
    entries = [(VERMILION, "generated")]
    if with_real:
        entries.insert(0, (BLUE, "real" if run.pulls_back else "target"))
    handles = [Line2D([], [], color=c, marker="o", ls="", ms=7, label=t) for c, t in entries]
    place: Any = "upper left" if figure.get_layout_engine() is None else "outside upper left"
    figure.legend(handles=handles, loc=place, ncols=2, fontsize=10, frameon=False)


def marginals(
    axes: Axes, generated: Array, real: Array | None, bounds: tuple[float, float]
) -> None:
    """Draw the histograms of a column, generated over real."""
    for x, colour in ((real, BLUE), (generated, VERMILION)):
        if x is not None:
            # Each histogram is drawn once filled and once as an outline.
            heights, edges = np.histogram(x, 36, bounds, density=True)
            heights = np.nan_to_num(heights)  # where no value is within
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.18, lw=0)
            axes.stairs(heights, edges, color=colour, lw=1.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def column(run: Run, j: int) -> str:
    """Return the name of a column of the model's law; a start's default names are not used."""
    names = run.labels.columns
    reported = j < len(names) and (run.pulls_back or names[j] != f"x{j}")
    return names[j] if reported else f"coordinate {j + 1}"


_COUNTED = ("Data", "Target's samples")
"""First words of the titles of histograms."""

_BAR = 0.04
"""Width of the colour bar, relative to that of a map."""


def density(run: Run) -> Picture | None:
    """Draw a histogram of real rows, the model's density and the true one, in two dimensions."""
    extent = run.arrays.get("grid_extent")
    if run.arrays.get("grid_log_density") is None or extent is None:
        return None
    panels = _maps(run, extent)
    known = [values for name, values in panels if name != "Model"] or [panels[0][1]]
    top = max(float(np.quantile(values, 0.997)) for values in known)
    width, height = extent[1] - extent[0], extent[3] - extent[2]
    square = 0.5 < width / max(height, 1e-300) < 2
    side = (WIDTH - 1.8) / len(panels) * (height / width if square else 1)
    figure = Figure(figsize=(WIDTH, min(side, 5.5) + 0.6))
    ratios = [1.0] * len(panels) + [_BAR]
    *axes_row, bar_axes = figure.subplots(1, len(ratios), width_ratios=ratios)
    for axes, (name, values) in zip(axes_row, panels, strict=True):
        shown = axes.imshow(
            values, origin="lower", extent=tuple(extent), cmap="magma", vmin=0, vmax=top or None,
            aspect="equal" if square else "auto",
            interpolation="nearest" if name.startswith(_COUNTED) else "bilinear",
        )  # fmt: skip
        axes.set_title(name)
        axes.grid(False)
        axes.set_xlabel(column(run, 0))
    axes_row[0].set_ylabel(column(run, 1))
    panel_axes = [[axes] for axes in axes_row]
    bar = figure.colorbar(shown, cax=bar_axes, extend="max")
    bar.set_label("density", color=MUTED)
    bar.outline.set_visible(False)
    panel_axes[-1].append(bar.ax)
    return Picture(
        "density",
        "The model's density",
        "The model should be bright where the data are and dark elsewhere; bridges between parts "
        "that are apart, and blurred edges, show what the flow has not resolved.",
        ", ".join(name for name, _ in panels) + ", as maps of density with one colour scale.",
        both(figure, [panel_axes]),
    )


def _maps(run: Run, extent: Array) -> list[tuple[str, Array]]:
    """Return the maps with their titles: rows, model, truth."""
    panels = [("Model", _exp(run.arrays["grid_log_density"]))]
    true = run.arrays.get("grid_true_log_density")
    if true is not None:
        panels.append(("Truth", _exp(true)))
    many = run.arrays.get("real_many")
    if many is not None:
        bins = int(np.clip(np.sqrt(len(many)), 20, 110))
        counts, *_ = np.histogram2d(
            many[:, 0], many[:, 1], bins, extent.reshape(2, 2).tolist(), density=True
        )
        what = _COUNTED[0 if run.pulls_back else 1]
        panels.insert(0, (f"{what}, {len(many):,} rows", np.nan_to_num(counts.T)))
    return panels


def scatter(run: Run) -> Picture | None:
    """Draw generated and real rows as points, with the marginals below."""
    generated, real = run.arrays.get("generated"), run.arrays.get("real")
    if generated is None or generated.shape[1] != 2:
        return None
    generated = generated[np.isfinite(generated).all(axis=1)]
    if len(generated) == 0:
        return None
    panels = [(generated, VERMILION)] if real is None else [(real, BLUE), (generated, VERMILION)]
    scale = panels[0][0]
    ends = [limits(scale[:, j], 0.001) for j in range(2)]
    ratio = (ends[1][1] - ends[1][0]) / (ends[0][1] - ends[0][0])
    square = 0.5 < ratio < 2
    top = min((WIDTH - 1) / 2 * (ratio if square else 0.8), 5.2)
    figure = Figure(figsize=(WIDTH, top + 2.8))
    upper, lower = figure.subplots(2, 2, height_ratios=[top + 0.4, 2.4])
    for axes, (x, colour) in zip(upper, panels, strict=False):
        axes.scatter(x[:, 0], x[:, 1], s=7, c=colour, lw=0, alpha=0.6)
        axes.set(xlim=ends[0], ylim=ends[1], xlabel=column(run, 0))
        axes.set_aspect("equal" if square else "auto")
        axes.locator_params(nbins=6)
    upper[0].set_ylabel(column(run, 1))
    upper[1].tick_params(labelleft=False)
    for axes in upper[len(panels) :]:
        axes.remove()
    for j, axes in enumerate(lower):
        marginals(axes, generated[:, j], None if real is None else real[:, j], ends[j])
        axes.set_xlabel(column(run, j))
    legend(figure, run, real is not None)
    return Picture(
        "pairs",
        title(run, real is not None),
        "The clouds should have the same shape, with no point where the other has none, and the "
        "outlines of the marginals below should coincide."
        if real is not None
        else comparison_caption(run, False) + ".",
        f"{len(generated)} generated"
        + (f" and {len(real)} real rows" if real is not None else " rows")
        + " as points, and marginal histograms.",
        png(figure, [[[one] for one in row] for row in (upper[: len(panels)], lower)]),
    )


def _exp(log_density: Array) -> Array:
    return np.exp(np.where(np.isfinite(log_density), log_density, -np.inf))
