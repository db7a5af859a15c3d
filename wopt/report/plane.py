"""Pictures of a model in the plane: its density and its samples, beside the data."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from wopt.report.pieces import both, png
from wopt.report.read import Run
from wopt.report.samples import column, comparison_caption, legend, marginals, title
from wopt.report.style import BLUE, MUTED, VERMILION, WIDTH, Array, Picture, limits

__all__ = ["density", "scatter"]

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
