"""Pictures of generated samples beside the data, and of a model's density in the plane."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wopt_report.charts import Chart, image, magma, ticks
from wopt_report.pages import number
from wopt_report.run import Grid, PlottedRun
from wopt_report.style import BLUE, VERMILION, Array, Picture, limits

_COLUMNS, _PAIRS = 12, 3
"""Columns and pairs of columns that are drawn at most: those that differ most."""
_VALUES, _CELLS = 24, 6
"""Values of a column that have a bar each at most; cells of a pair along each column."""


def columns(run: PlottedRun) -> Picture | None:
    """Draw each column by its kind, generated beside real: those that differ most first."""
    generated, real = _rows(run)
    if generated is None:
        return None
    chosen = _by_difference(run, generated, real)
    charts = tuple(_of_column(run, j, generated, real) for j in chosen[:_COLUMNS])
    caption = (
        f"There are no {'real rows' if run.pulls_back else 'samples of the minimiser'} to compare "
        "these with."
        if real is None
        else "Shares of rows: bars of both colours should be equally high. The column that differs "
        "most is first."
    )
    if len(chosen) > _COLUMNS:
        caption += f" {len(chosen) - _COLUMNS} more columns differ less."
    beside = "" if real is None else " beside real" if run.pulls_back else " beside the target"
    return Picture(
        "columns",
        f"Generated{beside}, column by column",
        caption,
        f"Bars of {len(charts)} columns, of {len(generated)} generated rows"
        + ("." if real is None else f" and {len(real)} real ones."),
        charts,
    )


def pairs(run: PlottedRun) -> Picture | None:
    """Draw pairs of columns as points, generated beside real: those that differ most first."""
    generated, real = _rows(run)
    if generated is None or generated.shape[1] < 2:
        return None
    among = _by_difference(run, generated, real)[:_COLUMNS]
    found = list(itertools.combinations(sorted(among), 2))
    if real is None:
        found = list(itertools.combinations(sorted(most_unusual(generated, _PAIRS)), 2))
    else:
        found.sort(key=lambda pair: -_pair_difference(real[:, pair], generated[:, pair]))
    charts = [chart for pair in found[:_PAIRS] for chart in _of_pair(run, pair, generated, real)]
    caption = "" if real is None else (
        "The clouds of a pair should have the same shape, with no point where the other has none"
        + ("; the pair that differs most is first." if len(found) > 1 else ".")
    )  # fmt: skip
    return Picture(
        "pairs",
        "Pairs of columns",
        caption,
        f"{len(charts)} clouds of points of {min(len(found), _PAIRS)} pairs of columns.",
        tuple(charts),
    )


def _rows(run: PlottedRun) -> tuple[Array | None, Array | None]:
    """Return finite generated and real rows; pixels as columns would show nothing."""
    generated, real = run.arrays.get("generated"), run.arrays.get("real")
    pictures = "real_images" in run.arrays or "generated_images" in run.arrays
    if generated is None or pictures:
        return None, None
    generated = generated[np.isfinite(generated).all(axis=1)]
    return (generated, real) if len(generated) else (None, None)


def _by_difference(run: PlottedRun, generated: Array, real: Array | None) -> list[int]:
    """Return the columns, the one with the largest difference of shares first."""
    d = generated.shape[1]
    if real is None:
        return list(range(d))
    away = []
    for j in range(d):
        _, shares, _ = _shares(run, j, generated[:, j], real[:, j])
        away.append(float(np.abs(shares[0] - shares[1]).sum()))
    return sorted(range(d), key=lambda j: -away[j])


def _shares(
    run: PlottedRun, j: int, generated: Array, real: Array | None
) -> tuple[Array, list[Array], list[tuple[float, str]] | None]:
    """Return edges of bars, the shares of each law in them, and names of single values."""
    laws = [generated] if real is None else [real, generated]
    bins = math.ceil(2 * len(laws[0]) ** (1 / 3))  # Rice's rule
    grid = run.labels.grids.get(column(run, j))
    if grid is None:
        edges = np.linspace(*limits(laws[0], 0.002), bins + 1)
        return edges, [_counted(x, edges) for x in laws], None
    codes = [np.round((x - grid.origin) / grid.width) for x in laws]
    first, last = int(min(c.min() for c in codes)), int(max(c.max() for c in codes))
    number_of = last - first + 1
    every = 1 if number_of <= _VALUES else math.ceil(number_of / bins)
    edges = np.arange(first, last + every + 1, every) - 0.5
    shares = [_counted(c, edges) for c in codes]
    if number_of > _VALUES:
        return grid.origin + grid.width * edges, shares, None
    return edges, shares, [(float(k), _name(grid, k)) for k in range(first, last + 1)]


def _name(grid: Grid, code: int) -> str:
    """Return the category of a code, or the value at this place of the grid."""
    if grid.names:
        return grid.names[code] if 0 <= code < len(grid.names) else "other"
    return number(round(grid.origin + grid.width * code, 9))


def _counted(x: Array, edges: Array) -> Array:
    counts, _ = np.histogram(x, edges)
    return np.asarray(counts / max(len(x), 1), dtype=float)


def _of_column(run: PlottedRun, j: int, generated: Array, real: Array | None) -> Chart:
    of_real = None if real is None else real[:, j]
    edges, shares, names = _shares(run, j, generated[:, j], of_real)
    top = 1.08 * max(float(share.max()) for share in shares) or 1.0
    ends = edges[0], edges[-1]
    chart = Chart(
        ends, (0.0, top), title=column(run, j), names=names or _dates(run, j, ends), height=170
    )
    laws = (
        [("generated", VERMILION)]
        if real is None
        else [(_real(run), BLUE), ("generated", VERMILION)]
    )
    left, wide = edges[:-1], np.diff(edges)
    for k, ((label, colour), share) in enumerate(zip(laws, shares, strict=True)):
        if names is None:
            chart.bars(left, left + wide, share, colour, label)
        else:  # bars stand side by side
            begin = left + wide * (0.1 + 0.8 * k / len(laws))
            chart.bars(begin, begin + 0.8 * wide / len(laws), share, colour, label)
    return chart


def _dates(run: PlottedRun, j: int, ends: tuple[float, float]) -> list[tuple[float, str]] | None:
    """Return places on an axis of dates with their names; ``None`` for other columns."""
    seconds = run.labels.dates.get(column(run, j))
    if seconds is None:
        return None
    return [(v, str(np.datetime64(round(v * seconds), "s"))[:10]) for v in ticks(*ends, 3)]


def _pair_difference(real: Array, generated: Array) -> float:
    """Return the difference of shares in cells between quantiles of the real rows."""
    edges = [
        np.unique([-np.inf, *np.quantile(x, np.linspace(0, 1, _CELLS + 1)[1:-1]), np.inf])
        for x in real.T
    ]
    shares = []
    for x in (real, generated):
        cells = [np.searchsorted(e, x[:, k], side="right") for k, e in enumerate(edges)]
        table = np.zeros((len(edges[0]) + 1, len(edges[1]) + 1))
        np.add.at(table, tuple(cells), 1 / len(x))
        shares.append(table)
    return float(np.abs(shares[0] - shares[1]).sum())


def _of_pair(
    run: PlottedRun, pair: tuple[int, int], generated: Array, real: Array | None
) -> list[Chart]:
    scale = generated if real is None else real
    ends = [limits(scale[:, j], 0.001) for j in pair]
    names = [column(run, j) for j in pair]
    grids = [run.labels.grids.get(name) for name in names]
    named = [
        [(float(k), name) for k, name in enumerate(grid.names)] if grid and grid.names
        else _dates(run, j, end)
        for j, grid, end in zip(pair, grids, ends, strict=True)
    ]  # fmt: skip
    height = 240.0 if any(grids) else _height(ends)
    charts = []
    for label, colour, x in ((_real(run), BLUE, real), ("generated", VERMILION, generated)):
        if x is not None:
            chart = Chart(
                ends[0], ends[1], title=f"{label}: {names[1]} by {names[0]}", height=height,
                names=named[0], beside=named[1],
            )  # fmt: skip
            chart.points(x[:, pair[0]], x[:, pair[1]], colour, label)
            charts.append(chart)
    return charts


def _height(ends: Sequence[tuple[float, float]]) -> float | None:
    """Return the height of a panel; ``None``, for equal scales, where the ranges are alike."""
    ratio = (ends[1][1] - ends[1][0]) / (ends[0][1] - ends[0][0])
    return None if 0.5 < ratio < 2 else 240.0


def _real(run: PlottedRun) -> str:
    return "real" if run.pulls_back else "target"


def column(run: PlottedRun, j: int) -> str:
    """Return the name of a column of the model's law; a start's default names are not used."""
    names = run.labels.columns
    reported = j < len(names) and (run.pulls_back or names[j] != f"x{j}")
    return names[j] if reported else f"coordinate {j + 1}"


def most_unusual(x: Array, number: int) -> tuple[int, ...]:
    """Return the columns of ``(n, d)`` with the largest |excess kurtosis|, in order."""
    centred = x - x.mean(axis=0)
    scale = np.sqrt(np.square(centred).mean(axis=0))
    varies = scale > 1e-12 * (1 + np.abs(x).max(axis=0))
    ratio = np.power(centred / np.where(varies, scale, 1), 4).mean(axis=0)
    kurtosis = np.where(varies, ratio - 3, 0)
    best = np.argsort(-np.abs(kurtosis), kind="stable")[:number]
    return tuple(sorted(int(j) for j in best))


def images(run: PlottedRun) -> Picture | None:
    """Draw real and generated images on two sheets with one grey scale."""
    real, generated = run.arrays.get("real_images"), run.arrays.get("generated_images")
    sheets = [(t, x) for t, x in (("real (test rows)", real), ("generated", generated))
              if x is not None]  # fmt: skip
    if not sheets:
        return None
    low, high = np.quantile(sheets[0][1][np.isfinite(sheets[0][1])], [0.02, 0.98])
    charts = []
    for title, x in sheets:
        grey = np.clip(np.nan_to_num((_sheet(x) - low) / max(high - low, 1e-300), nan=1.0), 0, 1)
        pixels = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=2)
        charts.append(_map((0.0, float(grey.shape[1]), 0.0, float(grey.shape[0])), pixels, title))
    return Picture(
        "images",
        "Generated beside real" if len(sheets) == 2 else "Images",
        "With one grey scale for both, the sheets should look alike: the same contrast, edges and "
        "smoothness, and no picture that could not be on the other sheet."
        if len(sheets) == 2
        else "There is nothing to compare it with.",
        " and ".join(f"{len(x)} pictures, {title}" for title, x in sheets) + ".",
        tuple(charts),
    )


def _sheet(x: Array) -> Array:
    """Return the images on a square sheet, not finite between them."""
    n, h, w = x.shape
    side = int(np.ceil(np.sqrt(n)))
    gap = max(1, round(max(h, w) / 12))
    sheet = np.full((side * (h + gap) - gap, side * (w + gap) - gap), np.nan)
    for k in range(n):
        i, j = divmod(k, side)
        sheet[i * (h + gap) :, j * (w + gap) :][:h, :w] = x[k]
    return sheet


def _map(extent: Sequence[float], pixels: NDArray[np.uint8], title: str) -> Chart:
    """Return a panel that an image fills, without numbers where it has no units."""
    left, right, low, high = extent
    chart = Chart(
        (left, right), (low, high), title=title, height=_height(((left, right), (low, high)))
    )
    chart.picture(image(pixels))
    return chart


def density(run: PlottedRun) -> Picture | None:
    """Draw a histogram of real rows, the model's density and the true one, in two dimensions."""
    extent = run.arrays.get("grid_extent")
    if run.arrays.get("grid_log_density") is None or extent is None:
        return None
    panels = _maps(run, extent)
    known = [values for name, values in panels if name != "model"] or [panels[0][1]]
    top = max(float(np.quantile(values, 0.997)) for values in known)
    return Picture(
        "density",
        "The model's density",
        "The model should be bright where the data are and dark elsewhere; bridges between parts "
        "that are apart, and blurred edges, show what the flow has not resolved. The brightest "
        f"tone is a density of {number(top, 3)}.",
        ", ".join(name for name, _ in panels) + ", as maps of density with one colour scale.",
        tuple(_map(extent.tolist(), magma(values[::-1], top), name) for name, values in panels),
    )


def _maps(run: PlottedRun, extent: Array) -> list[tuple[str, Array]]:
    """Return the maps with their titles: rows, model, truth; rows from below."""
    panels = [("model", _exp(run.arrays["grid_log_density"]))]
    true = run.arrays.get("grid_true_log_density")
    if true is not None:
        panels.append(("truth", _exp(true)))
    many = run.arrays.get("real_many")
    if many is not None:
        bins = int(np.clip(np.sqrt(len(many)), 20, 110))
        counts, *_ = np.histogram2d(
            many[:, 0], many[:, 1], bins, extent.reshape(2, 2).tolist(), density=True
        )
        what = "data" if run.pulls_back else "target's samples"
        panels.insert(0, (f"{what}, {len(many):,} rows", np.nan_to_num(counts.T)))
    return panels


def _exp(log_density: Array) -> Array:
    return np.exp(np.where(np.isfinite(log_density), log_density, -np.inf))
