"""Whether steps that leave the target as it is change what the weighted draws say of it."""

from __future__ import annotations

import dataclasses
import math
import time

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt.seeds import generator

__all__ = ["Drift", "largest_drift"]

_CHAINS, _STEPS, _SECONDS = 10_000, 200, 3.0
"""At most; how many steps fit the seconds is a power of two, so that the same machine makes the
same ones."""
_SCALES = math.log(0.03), math.log(1.5)
"""Of proposals, as shares of the standard deviations; each is drawn anew for each chain."""


@dataclasses.dataclass(frozen=True)
class Drift:
    """By how much a mean changed.

    Attributes:
        of: What it is the mean of.
        value: The mean after the steps less that before.
        error: Its standard error over the chains.
        means: Of how many means it is the one that changed most, in errors.
    """

    of: str
    value: float
    error: float
    means: int


@torch.no_grad()
def largest_drift(target: Target, draws: Tensor, log_weights: Tensor, seed: int) -> Drift | None:
    """Return what random-walk Metropolis steps from the draws change most.

    If draws with their weights w represent the target p, so do the draws after steps of a Markov
    chain that leaves p as it is, so that for every f

        E_w[f(X_k) - f(X_0)] = 0.

    Weights cannot tell that the model's draws lack an arm or a tail of p, since no draw is there;
    chains walk into it. Tried are V, every coordinate and its square about the mean. Proposals are
    normal, symmetric whatever their scale, which is drawn log-uniformly. Steps are few, so no
    change says little.

    Source: Metropolis et al., 1953; the test by paired differences follows Gorham, Mackey,
    *Measuring sample quality with Stein's method*, 2015, with steps in place of the generator.

    Args:
        target: Known by its potential V.
        draws: Of the model, independent, shape ``(n, d)``, float64.
        log_weights: -V - log q there.
        seed: Of the steps.

    Returns:
        The change that is largest in its errors, or ``None`` where there is nothing to move.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> p = GaussianTarget([0.0], [[1.0]])
        >>> x = p.sample(2000, 1, torch.Generator().manual_seed(0))
        >>> drift = largest_drift(p, x, torch.zeros(2000), seed=0)
        >>> abs(drift.value) < 4 * drift.error
        True
        >>> drift = largest_drift(p, x.clamp(-1, 1), torch.zeros(2000), seed=0)
        >>> drift.value > 10 * drift.error  # its tails are missing
        True
    """
    rows = torch.nonzero(torch.isfinite(log_weights))[:_CHAINS, 0]
    if len(rows) < 100:
        return None
    before, weights = draws[rows].double(), torch.softmax(log_weights[rows].double(), 0)
    after = _walk(target, before, seed)
    mean, spread = before.mean(0), before.std(0).clamp_min(1e-300)
    change = torch.cat([_features(target, x, mean, spread) for x in (after, before)], 1)
    half = change.shape[1] // 2
    change = change[:, :half] - change[:, half:]
    value = weights @ change
    error = (weights.square() @ (change - value).square()).sqrt()
    ratio = torch.where(error > 0, value.abs() / error, 0)
    k = int(ratio.argmax())
    names = ["V", *(f"({p} of coordinate {j + 1})/sd" for p in ("deviation", "squared deviation")
                    for j in range(draws.shape[1]))]  # fmt: skip
    return Drift(names[k], float(value[k]), float(error[k]), half)


def _features(target: Target, x: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    z = (x - mean) / spread
    return torch.cat([target.potential(x).double()[:, None], z, z.square()], 1)


def _walk(target: Target, x: Tensor, seed: int) -> Tensor:
    """Return the particles after Metropolis steps that leave exp(-V) as it is."""
    chance, spread = generator(seed, "walk"), x.std(0)
    began = time.process_time()
    potential = target.potential(x).double()
    low, high = _SCALES
    for _ in range(_fitting(time.process_time() - began)):
        shape = (len(x), 1)
        scale = torch.exp(low + (high - low) * torch.rand(shape, generator=chance)).double()
        noise = torch.randn(x.shape, generator=chance, dtype=torch.float64)
        to = x + scale * spread * noise
        there = target.potential(to).double()
        uniform = torch.rand(len(x), generator=chance, dtype=torch.float64)
        accepted = uniform.log() < potential - there  # not where V is NaN or infinite
        x = torch.where(accepted[:, None], to, x)
        potential = torch.where(accepted, there, potential)
    return x


def _fitting(lap: float) -> int:
    """Return how many steps of so many seconds are made.

    Example:
        >>> _fitting(0.001), _fitting(0.02), _fitting(0.021), _fitting(9.0)
        (200, 128, 128, 1)
    """
    fits = _SECONDS / max(lap, 1e-9)
    return _STEPS if fits >= _STEPS else 2 ** int(math.log2(max(fits, 1.0)))
