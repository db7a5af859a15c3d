"""A test whether steps that preserve the target change means over the weighted draws."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt.seeds import generator

__all__ = ["InvarianceTest", "largest_drift"]

_CHAINS, _STEPS, _SECONDS = 4000, 2048, 3.0
"""Chains, steps and CPU seconds at most; the number of steps is a power of two, so that the same
machine makes the same ones."""
_ROUNDING = 1e-4
"""Least error of the mean of w/(w + Z), by the precision of float32 densities."""
_TIMED = 4
"""Number of timed steps."""
_SCALES = math.log(0.003), math.log(1.5)
"""Logarithms of the least and largest scale of proposals, in standard deviations; each chain draws
its own scale at each step."""


@dataclasses.dataclass(frozen=True)
class InvarianceTest:
    """The change of a mean.

    Attributes:
        of: The quantity that is averaged, in words.
        value: The mean after the steps minus that before.
        error: Its standard error over the chains.
        means: The number of means of which this one changed most, in errors.
    """

    of: str
    value: float
    error: float
    means: int


@torch.no_grad()
def largest_drift(
    target: Target,
    draws: Tensor,
    log_weights: Tensor,
    seed: int,
    model: Callable[[Tensor], Tensor] | None = None,
    steps: int = _STEPS,
) -> InvarianceTest | None:
    """Return the mean that random-walk Metropolis steps from the draws change most.

    If draws with their weights w represent the target p, so do the draws after steps of a Markov
    chain that preserves p, so that for every f

        E_w[f(X_k) - f(X_0)] = 0.

    Weights cannot show that the model's draws lack an arm or a tail of p, since no draw is there;
    chains walk into it. The functions are V, every coordinate and its square about the mean, and,
    where the model's density q is known,  f = w/(w + Z),  w = exp(-V)/q, the fraction of p in an
    equal mixture of both: near 1 where q has no draws, and bounded, so that errors are reliable.

    A proposal moves a random subset of coordinates, one at least, by a normal step whose scale is
    drawn log-uniformly: both are symmetric whatever the subset and scale. So chains enter a neck
    that is narrow in most coordinates and long in one. Chains are few, so no change proves little.

    Source: Metropolis et al., 1953; the test by paired differences follows Gorham, Mackey,
    *Measuring sample quality with Stein's method*, 2015, with steps in place of the generator; f
    is the optimal bridge of Meng, Wong, *Simulating ratios of normalizing constants*, 1996.

    Args:
        target: A target known by its potential V.
        draws: Independent draws of the model, shape ``(n, d)``, float64.
        log_weights: -V - log q at the draws, nats, shape ``(n,)``.
        seed: Seed of the steps.
        model: log q at any points, from shape ``(n, d)`` to ``(n,)``.
        steps: Number of steps at most, a power of two; fewer where they would take over three
            seconds.

    Returns:
        The change that is largest in its errors, or ``None`` where there are too few draws.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> p = GaussianTarget([0.0], [[1.0]])
        >>> x = p.sample(2000, 1, torch.Generator().manual_seed(0))
        >>> drift = largest_drift(p, x, torch.zeros(2000), seed=0, steps=128)
        >>> abs(drift.value) < 4 * drift.error
        True
        >>> drift = largest_drift(p, x.clamp(-1, 1), torch.zeros(2000), seed=0, steps=128)
        >>> drift.value > 10 * drift.error  # its tails are missing
        True
    """
    rows = torch.nonzero(torch.isfinite(log_weights))[:_CHAINS, 0]
    if len(rows) < 100:
        return None
    before, log_w = draws[rows].double(), log_weights[rows].double()
    after, weights = _walk(target, before, seed, steps), torch.softmax(log_w, 0)
    mean, spread = before.mean(0), before.std(0).clamp_min(1e-300)
    change = _features(target, after, mean, spread) - _features(target, before, mean, spread)
    names = ["V", *(f"({p} of coordinate {j + 1})/sd" for p in ("deviation", "squared deviation")
                    for j in range(draws.shape[1]))]  # fmt: skip
    if model is not None:
        log_z = log_weights.double().logsumexp(0) - math.log(len(log_weights))
        shares = [_share(target, model, x, log_z) for x in (after, before)]
        change = torch.cat([change, (shares[0] - shares[1])[:, None]], 1)
        names.append("p/(p + q), p the target and q the model,")
    value = weights @ change
    error = (weights.square() @ (change - value).square()).sqrt()
    if model is not None:
        error[-1] = error[-1].clamp_min(_ROUNDING)
    ratio = torch.where(error > 0, value.abs() / error, 0)
    k = int(ratio.argmax())
    return InvarianceTest(names[k], float(value[k]), float(error[k]), len(names))


def _share(target: Target, model: Callable[[Tensor], Tensor], x: Tensor, log_z: Tensor) -> Tensor:
    """Return w/(w + Z); 1 where q is zero, or too small to be known."""
    log_w = -target.potential(x).double() - model(x).double().cpu()
    return torch.nan_to_num(torch.sigmoid(log_w - log_z), nan=1.0)


def _features(target: Target, x: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    z = (x - mean) / spread
    return torch.cat([target.potential(x).double()[:, None], z, z.square()], 1)


def _walk(target: Target, x: Tensor, seed: int, most: int) -> Tensor:
    """Return the particles after Metropolis steps that preserve exp(-V)."""
    chance, spread = generator(seed, "walk"), x.std(0)
    potential = target.potential(x).double()
    made, steps, began = 0, min(most, _TIMED), time.process_time()
    while made < steps:
        to = x + spread * _proposal(x, chance)
        there = target.potential(to).double()
        uniform = torch.rand(len(x), generator=chance, dtype=torch.float64)
        accepted = uniform.log() < potential - there  # false where V is NaN or infinite
        x = torch.where(accepted[:, None], to, x)
        potential = torch.where(accepted, there, potential)
        made += 1
        if made == _TIMED:
            steps = min(most, _fitting((time.process_time() - began) / _TIMED))
    return x


def _proposal(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return steps in deviations: of one coordinate, and of others with a random probability."""
    n, d = x.shape
    low, high = _SCALES
    scale = torch.exp(low + (high - low) * torch.rand((n, 1), generator=rng)).double()
    fraction = torch.exp(-math.log(d) * torch.rand((n, 1), generator=rng))
    moved = torch.rand((n, d), generator=rng) < fraction
    one = torch.randint(d, (n, 1), generator=rng)
    noise = torch.randn((n, d), generator=rng, dtype=torch.float64)
    return scale * noise * moved.scatter(1, one, True)


def _fitting(lap: float) -> int:
    """Return the number of steps that fit, a power of two, at ``lap`` CPU seconds each.

    Example:
        >>> _fitting(0.01), _fitting(0.02), _fitting(0.021), _fitting(9.0)
        (256, 128, 128, 1)
    """
    return min(_STEPS, 2 ** int(math.log2(max(_SECONDS / max(lap, 1e-9), 1.0))))
