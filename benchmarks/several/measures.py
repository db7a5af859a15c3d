"""What steps may buy beside likelihood: transport, a smooth inverse, round trips, samples."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.push import in_batches
from wopt.runs.preparation import Prepared
from wopt.seeds import generator

__all__ = ["measure", "stretch"]


def measure(
    prepared: Prepared, blocks: Sequence[FlowBlock], test: Tensor, rows: int = 100
) -> dict[str, Any]:
    """Return the figures, in the flow's coordinates.

    Args:
        prepared: The run.
        blocks: Its maps.
        test: Test rows in the flow's coordinates.
        rows: For the singular values, and ten times as many for samples.
    """
    places = [test]
    for block in blocks:
        places.append(in_batches(block.move, places[-1]))
    moves = [float((b - a).square().sum(1).mean()) for a, b in itertools.pairwise(places)]
    whole = float((places[-1] - test).square().sum(1).mean())
    noise = torch.randn(10 * rows, test.shape[1], generator=generator(0, "several")).to(test)
    points = noise
    for block in reversed(blocks):
        points = in_batches(block.inverse, points)[0]
    back = points
    for block in blocks:
        back = in_batches(block.move, back)
    return {
        "transport": whole,
        "transport_by_step": moves,
        "path": sum(move**0.5 for move in moves) / whole**0.5 if whole else 1.0,
        **{f"lipschitz_{k}": v for k, v in _quantiles(stretch(blocks, points[:rows])).items()},
        "trip_from_noise": float((back - noise).square().sum(1).mean().sqrt()),
        **_samples(prepared, points),
    }


def _samples(prepared: Prepared, points: Tensor) -> dict[str, float]:
    """Return which share of samples is not finite, and which is outside the box of the data.

    The box is that of the training rows, a tenth of its width larger on every side.
    """
    assert prepared.dataset is not None
    train = prepared.dataset.transform.move(prepared.dataset.train).to(points)
    low, high = train.min(0).values, train.max(0).values
    room = (high - low) / 10
    finite = points.isfinite().all(1)
    inside = ((points >= low - room) & (points <= high + room)).all(1)
    return {
        "not_finite": float((~finite).double().mean()),
        "outside": float((finite & ~inside).double().mean()),
    }


def stretch(blocks: Sequence[FlowBlock], x: Tensor) -> Tensor:
    """Return the largest singular value of DT^-1 at T(x), which is 1 / the least of DT at x.

    float64, one backward pass a coordinate.
    """
    maps = [copy.deepcopy(block).double().eval() for block in blocks]
    x = x[x.isfinite().all(1)].double().requires_grad_()
    y = x
    for block in maps:
        y = block(y)[0]
    rows = [torch.autograd.grad(y[:, i].sum(), x, retain_graph=True)[0] for i in range(x.shape[1])]
    return 1 / torch.linalg.svdvals(torch.stack(rows, 1))[:, -1]


def _quantiles(values: Tensor) -> dict[str, float]:
    return {
        "median": float(values.median()),
        "90": float(values.quantile(0.9)),
        "largest": float(values.max()),
    }
