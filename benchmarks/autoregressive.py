"""The block ``autoregressive`` against zuko's same maps, and its optimiser against torch's.

    OMP_NUM_THREADS=1 python benchmarks/autoregressive.py [--quick]

A training step is forward and backward of E[|y|^2/2 - log det] on 500 rows; an inverse is that of
500 rows with its log-det. Nets are alike: of the same widths, not residual, relu.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
import zuko
from bench import interleaved, keep_memory, machine, one_thread, ratio, table
from torch import Tensor, nn

import wopt
from wopt.train.optimisers import MuonOptimizer, matrices_of

SIZES = [(2, 16, [128] * 3), (10, 12, [64] * 2), (63, 8, [128] * 2), (63, 0, [128] * 2)]
"""Dimension, bins (0: affine) and hidden widths."""
TRANSFORMS = 3


def ours(dim: int, bins: int, hidden: Sequence[int]) -> nn.Module:
    """Return wopt's block."""
    options: dict[str, Any] = {"univariate": "spline", "bins": bins} if bins else {}
    made: nn.Module = wopt.build(
        "block",
        {"name": "autoregressive", "univariate": "affine", "transforms": TRANSFORMS}
        | {"hidden": list(hidden), "activation": "relu", "residual": False}
        | options,
    ).build(dim=dim)
    return made


def theirs(dim: int, bins: int, hidden: Sequence[int]) -> nn.Module:
    """Return zuko's flow of the same maps."""
    shared: dict[str, Any] = {"transforms": TRANSFORMS, "hidden_features": tuple(hidden)}
    if bins:
        return zuko.flows.NSF(dim, bins=bins, **shared)
    return zuko.flows.MAF(dim, **shared)


def through(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(T(x), log-det)``."""
    if isinstance(model, wopt.FlowBlock):
        return model(x)
    y, log_det = model().transform.call_and_ladj(x)
    return y, log_det


def training(model: nn.Module, x: Tensor) -> Callable[[], None]:
    """Return a training step."""

    def step() -> None:
        y, log_det = through(model, x)
        model.zero_grad()
        (y.square().sum(1) / 2 - log_det).mean().backward()

    return step


def inverting(model: nn.Module, y: Tensor) -> Callable[[], None]:
    """Return an inverse with its log-det."""

    @torch.no_grad()
    def step() -> None:
        if isinstance(model, wopt.FlowBlock):
            model.inverse(y)
        else:
            model().transform.inv.call_and_ladj(y)

    return step


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    options = parser.parse_args()
    rows, repeats, sizes = (50, 1, SIZES[1:2]) if options.quick else (500, 7, SIZES)
    one_thread()
    keep_memory()
    torch.manual_seed(0)
    maps, optimisers = [], []
    for dim, bins, hidden in sizes:
        models = {"wopt": ours(dim, bins, hidden), "zuko": theirs(dim, bins, hidden)}
        x = torch.randn(rows, dim)
        for model in models.values():
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.02 * torch.randn_like(p))
            training(model, x)()
        stepped = interleaved({n: training(m, x) for n, m in models.items()}, repeats)
        inverted = interleaved({n: inverting(m, x) for n, m in models.items()}, repeats)
        name = f"{bins} bins" if bins else "affine"
        cells: list[object] = [dim, name, " x ".join(map(str, hidden))]
        for times in (stepped, inverted):
            cells += [statistics.median(times["wopt"]), ratio(times, "zuko", "wopt")]
        maps.append(cells)
        matrices = matrices_of(models["wopt"])[0]
        rivals = {"wopt": MuonOptimizer(matrices, lr=1e-3).step}
        if hasattr(torch.optim, "Muon"):
            rivals["torch"] = torch.optim.Muon(matrices, lr=1e-3).step
        moved = interleaved(rivals, repeats)
        shapes = {tuple(p.shape) for p in matrices}
        optimisers.append(
            (
                f"{len(matrices)} of {', '.join(f'{a} x {b}' for a, b in sorted(shapes))}",
                statistics.median(moved["wopt"]),
                ratio(moved, "torch", "wopt") if "torch" in moved else "",
            )
        )
    print(f"{machine()}; {rows} rows; ratios are zuko's and torch's time by wopt's\n")
    head = ("d", "map", "hidden", "step, CPU ms", "zuko's", "inverse, CPU ms", "zuko's")
    print(table(head, maps), "\n")
    print(table(("matrices", "MuonOptimizer, CPU ms", "torch's"), optimisers))


if __name__ == "__main__":
    main()
