"""The data of a report's pictures, computed once at the end of a run."""

from __future__ import annotations

import contextlib
import json

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.data import Dataset, seconds
from wopt.errors import CapabilityError
from wopt.flow import Flow, draw, noise
from wopt.interfaces import Target
from wopt.particles import split_conditions
from wopt.push import in_batches
from wopt.seeds import generator

GRID = 48
"""Points along each side of the grids on which densities are drawn."""

_ROWS, _MANY, _IMAGES = 1000, 20_000, 64
_LARGEST = 1e30
"""Largest coordinate in figures, which are stored in float32."""

_GRID_ROWS = 2048  # a known density may be a mixture with many parts, so few points at a time


@torch.no_grad()
def collect(
    flow: Flow, dataset: Dataset, seed: int, target: Target | None = None, *, truth: bool = True
) -> dict[str, Tensor]:
    """Return the data that :func:`wopt_report.render` draws, stored as ``figures.safetensors``.

    Data that the model cannot give (such as samples, where its target has none) are left out.

    Args:
        seed: Seed of the choice of rows and of the samples; the same seed gives the same tensors.
        target: The objective's target; the base's by default.
        truth: Whether the target is the law that a start pushed forward should reach, unlike that
            of one part of a sum.

    Returns:
        Contiguous float32 tensors on the CPU, by name and shape, m <= 1000:

        - ``paths`` ``(N+1, m, d)``: test rows after the preprocessing and after each block;
        - ``backward`` ``(N+1, m, d)``: samples of the target, carried back block by block;
        - ``real``, ``generated`` ``(m, d)``: in the units of the model's law (that of the data, or
          of the target if the model is the start pushed forward);
        - ``real_images``, ``generated_images`` ``(64, h, w)``: if rows are images;
        - ``grid_log_density`` and, where known, ``grid_true_log_density`` ``(48, 48)``, in nats,
          rows along the second coordinate; ``grid_extent`` = (xmin, xmax, ymin, ymax);
          ``real_many`` (up to 20000 rows): if d = 2;
        - ``labels``: names of columns and coordinates, JSON in UTF-8 bytes, uint8.
    """
    order = torch.randperm(len(dataset.test), generator=generator(seed, "report", "rows"))
    rows = dataset.test[order[:_ROWS]]
    if target is None and flow.pulls_back:
        target = flow.base
    arrays = {"paths": flow.trajectory(rows)}
    known = truth or flow.pulls_back
    backward = _backward(flow, target, len(rows), seed) if known else None
    if backward is not None:
        arrays["backward"] = backward
    many = _many(flow, dataset, target, seed) if known else None
    if many is not None:
        arrays["real"] = rows if flow.pulls_back else many[: len(rows)]
    shown = _IMAGES if dataset.images is not None else 0
    if backward is not None and flow.pulls_back and len(rows) >= shown:
        # Samples of the target, carried back, are samples of the model.
        z = split_conditions(backward[-1], flow.condition)
        generated: Tensor | None = flow.transform.outside(*z)
    else:
        generated = _generated(flow, max(len(rows), shown), seed)
    if generated is not None:
        arrays["generated"] = generated[: len(rows)]
    if dataset.images is not None and flow.pulls_back:
        arrays["real_images"] = dataset.images(rows[:_IMAGES])
        if generated is not None:
            arrays["generated_images"] = dataset.images(generated[:_IMAGES].double().cpu())
    if flow.dim == 2:
        if many is not None:
            arrays["real_many"] = many
        seen = many if many is not None else generated
        if seen is not None:
            arrays |= _grids(flow, dataset, target if known else None, seen)
    # Values beyond float32 would become infinite, which no axis can show.
    held = {
        k: v.detach() if k.startswith("grid") else v.detach().clamp(-_LARGEST, _LARGEST)
        for k, v in arrays.items()
    }
    stored = {k: v.to("cpu", torch.float32).contiguous() for k, v in held.items()}
    # safetensors refuses views that share memory.
    return {k: v.clone() for k, v in stored.items()} | {"labels": _labels(flow, dataset)}


def _backward(flow: Flow, target: Target | None, n: int, seed: int) -> Tensor | None:
    if not (_samples(target) and Capability.INVERSE in flow.chain.provides):
        return None
    assert target is not None
    rng = generator(seed, "report", "backward")
    z = noise(target, n, flow.modelled, rng, flow.conditions)  # in free coordinates
    return flow.trajectory(torch.cat(z, dim=1), reverse=True)


def _many(flow: Flow, dataset: Dataset, target: Target | None, seed: int) -> Tensor | None:
    """Return up to 20000 rows of the law that the model represents, if there are any."""
    if flow.pulls_back:
        return torch.cat([dataset.test[:_MANY], dataset.train[:_MANY]])[:_MANY]
    if not _samples(target):
        return None
    assert target is not None
    return _own(flow, draw(target, _MANY, flow.dim, generator(seed, "report", "real")))


def _generated(flow: Flow, n: int, seed: int) -> Tensor | None:
    if flow.pulls_back and Capability.INVERSE not in flow.chain.provides:
        return None
    try:
        # Samples are not rounded, since the data of integers and categories are dequantised too.
        return flow.rsample(n, generator=generator(seed, "report", "generated"))
    except CapabilityError:
        return None


def _grids(flow: Flow, dataset: Dataset, target: Target | None, seen: Tensor) -> dict[str, Tensor]:
    extent = _window(seen.double().cpu())
    x, y = (torch.linspace(float(a), float(b), GRID).double() for a, b in extent)
    points = torch.cartesian_prod(y, x).flip(1)
    grids = {"grid_extent": extent.flatten()}
    needs = Capability.LOG_DET if flow.pulls_back else Capability.LOG_DET | Capability.INVERSE
    if needs in flow.chain.provides:
        with contextlib.suppress(CapabilityError):
            grids["grid_log_density"] = flow.log_prob(points).reshape(GRID, GRID)
    true = _true_density(flow, dataset, target, points)
    if true is not None:
        grids["grid_true_log_density"] = true.reshape(GRID, GRID)
    return grids if len(grids) > 1 else {}


def _true_density(
    flow: Flow, dataset: Dataset, target: Target | None, points: Tensor
) -> Tensor | None:
    if flow.pulls_back:
        if dataset.log_density is None:
            return None
        return in_batches(dataset.log_density, points, rows=_GRID_ROWS)
    if target is None or Capability.POTENTIAL not in target.provides:
        return None
    values = _log_density(flow, target, points.to(flow.chain.like)).double()
    if Capability.NORMALISED in target.provides:
        return values
    # The constant is unknown; over the window it can be computed, which is enough for a picture.
    cell = (points.amax(0) - points.amin(0)).prod() / (GRID - 1) ** 2
    return values - values.logsumexp(0) - cell.log().to(values)


def _own(flow: Flow, y: Tensor) -> Tensor:
    """Return points of the target in its author's coordinates, in which the model draws."""
    return y if flow.chain.support is None else flow.chain.support.move(y)


def _log_density(flow: Flow, target: Target, points: Tensor) -> Tensor:
    """Return -V at points of the author's coordinates, minus infinity outside of a support."""
    y, log_det = points, torch.zeros_like(points[:, 0])
    if flow.chain.support is not None:
        y, log_det = flow.chain.support.inverse(points)
    return log_det - in_batches(target.potential, y, rows=_GRID_ROWS)


def _window(x: Tensor) -> Tensor:
    """Return the padded ranges ``((xmin, xmax), (ymin, ymax))`` that hold nearly all rows."""
    x = x[torch.isfinite(x).all(1)]
    # A few outliers would shrink the picture of all other rows.
    ends = torch.quantile(x, torch.tensor([0.0005, 0.9995], dtype=x.dtype), dim=0).T
    width = (ends[:, 1] - ends[:, 0]).clamp(min=1e-6)
    # The ends must differ in float32 even if the column hardly varies.
    pad = torch.maximum(0.06 * width, 1e-5 * ends.abs().amax(1))
    return torch.stack([ends[:, 0] - pad, ends[:, 1] + pad], dim=1)


def _samples(target: Target | None) -> bool:
    return target is not None and Capability.TARGET_SAMPLES in target.provides


def _labels(flow: Flow, dataset: Dataset) -> Tensor:
    matrix = dataset.transform.of_all_columns()["matrix"]
    if not torch.equal(matrix, torch.diag(matrix.diagonal())):
        coordinates = [f"whitened coordinate {j + 1}" for j in range(dataset.dim)]
    elif bool((matrix.diagonal() == 1).all()):
        coordinates = list(dataset.names)
    else:
        coordinates = [f"{name} (standardised)" for name in dataset.names]
    for j in () if flow.chain.support is None else flow.chain.support.within:
        coordinates[j] += " (free)"
    known = dataset.transform.columns
    grids = {
        one.name: {
            "width": one.width, "origin": one.origin, "names": [str(c) for c in one.categories]
        }
        for one in (known.columns if known else ())
        if one.width > 0
    }  # fmt: skip
    dates = {
        one.name: seconds(one)
        for one in (known.columns if known else ())
        if one.type.startswith(("date", "timestamp"))
    }
    labels = {"columns": list(dataset.names), "coordinates": coordinates}
    text = json.dumps({**labels, **{k: v for k, v in (("grids", grids), ("dates", dates)) if v}})
    return torch.tensor(list(text.encode()), dtype=torch.uint8)
