"""The maps of a sampler: an affine one, and an autoregressive one in its coordinates."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import torch
from torch import Tensor

from wopt.certify.sampler.measure import usable
from wopt.certify.sampler.psis import smoothed_importance_weights
from wopt.certify.sampler.weights import effective_size
from wopt.component import build
from wopt.config.model import validate
from wopt.data.transform import AffineTransform
from wopt.flow import Chain, Flow, Inverse, SourceBase
from wopt.interfaces.block import FlowBlock, new_block
from wopt.runs.posterior.density import Density
from wopt.runs.posterior.gaussian import Gaussian
from wopt.runs.solve import solve
from wopt.seeds import generator

__all__ = ["Fit", "affine_fit", "autoregressive_fit", "seconds_an_iteration"]

_CHECKED = 4000
"""Draws by which fits are compared."""
_BATCH = 500
_ENOUGH = {"affine": (0.99, 0.4), "autoregressive": (0.95, 0.5)}
"""Least share of draws at whose effective size, and heaviest tail at which, a fit is enough.

A Gaussian has lighter tails than most posteriors, so few draws may not show what it lacks."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """A flow from N(0, I) to free coordinates.

    Attributes:
        flow: The flow, in float64.
        elbo: E_q[log p - log q] at draws that nothing was trained on.
        share: Effective size of the weights there, as a share of the draws.
        k_hat: Their tail.
        how: In words.
        iterations: Of its nonlinear map.
        failed: Why its map was rejected.
    """

    flow: Flow
    elbo: float
    share: float
    k_hat: float
    how: str
    iterations: int = 0
    failed: str | None = None

    @property
    def enough(self) -> bool:
        """Whether there is little left to gain."""
        share, tail = _ENOUGH["autoregressive" if self.iterations else "affine"]
        return self.share >= share and self.k_hat <= tail


def affine_fit(density: Density, gaussian: Gaussian, seed: int) -> Fit:
    """Return the flow of a Gaussian: one affine block."""
    dim = len(gaussian.shift)
    values, vectors = torch.linalg.eigh(gaussian.slope)
    config = validate({"source": _start(dim), "block": {"name": "affine", "symmetric": True}})
    block = new_block(config.block_spec(0), dim, 0).double()
    with torch.no_grad():
        block.generator.copy_(vectors * values.log() @ vectors.T)  # type: ignore[operator]
        block.shift.copy_(gaussian.shift)  # type: ignore[operator]
    block.freeze()
    return _fit(density, [block], seed, f"a Gaussian, from {gaussian.how}")


def autoregressive_fit(
    density: Density, affine: Fit, iterations: int, seed: int, progress: Any
) -> Fit:
    """Return the flow of an autoregressive map and then the affine one."""
    last = affine.flow.blocks[0]
    dim = affine.flow.dim
    solution = solve(
        _start(dim),
        objective={"name": "kl", "target": _pulled_back(density, last, dim)},
        scheme={"name": "jko", "step_size": 100.0},
        block=_block(),
        solver={
            "optimiser": "muon", "iterations": iterations, "batch_size": _BATCH, "fresh": True,
            "warm_start": False,
        },
        guard={"retries": 1},
        stop={"steps": 1},
        seed=seed,
        progress=progress,
    )  # fmt: skip
    if solution.status == "stopped":
        raise KeyboardInterrupt
    if not solution.state.blocks:
        return dataclasses.replace(affine, elbo=-math.inf, failed=solution.reason)
    how = f"an autoregressive map of {iterations} iterations after {affine.how}"
    fit = _fit(density, [*(b.double() for b in solution.state.blocks), last], seed, how)
    return dataclasses.replace(fit, iterations=iterations)


def seconds_an_iteration(density: Density, affine: Fit) -> float:
    """Return the CPU seconds that an iteration of training takes here, measured on three."""
    dim, last = affine.flow.dim, affine.flow.blocks[0]
    target = _pulled_back(density, last, dim)
    config = validate({"source": _start(dim), "block": _block()})
    block = new_block(config.block_spec(0), dim, 0)
    times = []
    for _ in range(4):  # the first pays for what is done once
        began = time.process_time()
        y, log_det = block(torch.randn(_BATCH, dim, generator=generator(0, "speed")))
        (target.potential(y) - log_det).mean().backward()
        times.append(time.process_time() - began)
    return 1.3 * sum(times[1:]) / 3  # the optimiser's own work, and new draws


def _block() -> dict[str, Any]:
    return {"name": "autoregressive", "hidden": [64, 64], "transforms": 3}


def _start(dim: int) -> dict[str, Any]:
    return {"name": "gaussian", "dim": dim, "n_train": 2000, "n_valid": 2000, "n_test": 10}


def _pulled_back(density: Density, last: FlowBlock, dim: int) -> Any:
    """Return the target  V(z) = -log p(T z) - log |det DT|  of an affine T, in float64 inside."""

    def potential(z: Tensor) -> Tensor:
        y, log_det = last(z.double())
        value: Tensor = -(density(y) + log_det)
        return value.to(z)

    return build("target", {"name": "potential", "function": potential, "dim": dim})


@torch.no_grad()
def _fit(density: Density, blocks: list[FlowBlock], seed: int, how: str) -> Fit:
    dim = len(density.names)
    units = AffineTransform.fit(torch.zeros(1, dim), "none")
    base = SourceBase(build("source", _start(dim)), seed)
    flow = Flow(Inverse(Chain(blocks, units)), base, density.names)
    y, log_q = flow.sample_and_log_prob(_CHECKED, generator=generator(seed, "fit"))
    log_weights = usable(density(y) - log_q, y)
    if not bool(log_weights.isfinite().any()):
        return Fit(flow, -math.inf, 0.0, math.inf, how)
    k_hat = smoothed_importance_weights(log_weights).k_hat
    share = effective_size(log_weights) / len(y)
    return Fit(flow, float(log_weights.mean()), share, k_hat, how)
