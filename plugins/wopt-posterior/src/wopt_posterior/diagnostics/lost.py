"""The search for modes of the target that the model has lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt.seeds import generator
from wopt_posterior.diagnostics.climb import climb
from wopt_posterior.diagnostics.initial_points import annealed_points, overdispersed
from wopt_posterior.diagnostics.modes import Mode, distinct_modes
from wopt_posterior.diagnostics.report import LostMode

__all__ = ["lost_modes"]

_MANY = 300
"""Dimension above which no modes are looked for: a Hessian costs 2 d scores and d^3."""
_FROM_MODEL, _WIDE, _ANNEALED = 100, 24, 64
_MATTERS = 0.005
"""Least fraction of the mass at which a mode is reported."""
_FEW = 0.1
"""Fraction of its expected draws below which a mode counts as lost."""
_NEAREST, _ON_THE_WAY, _DIP = 50, 33, 1.0


@torch.no_grad()
def lost_modes(
    target: Target, draws: Tensor, log_z: float, seed: int
) -> tuple[LostMode, ...] | None:
    """Return suspected modes that hold mass and near which the model has almost no draws.

    Return ``None`` where there are too many dimensions, or too few draws, to look for any.

    Ascent on log p starts from draws of the model, from wider points and from ends of annealed
    chains. A mode is suspected if three conditions hold: its fraction of the mass, by Laplace's
    approximation relative to the mass Z that the draws see, is at least 1/200; fewer than a tenth
    of the expected draws lie near it, nor do ascents from the model's draws end there; and every
    straight way from it to a near draw of similar density has a dip of a nat.

    The search proves nothing: modes it did not find may exist, and Laplace's approximation of a
    mode far from Gaussian may be far off.

    Args:
        target: A target known by its potential.
        draws: Draws of the model, shape ``(n, d)``, float64, finite.
        log_z: log Z by importance sampling at the draws, nats.
        seed: Seed of the points from which the search ascends.
    """
    if draws.shape[1] > _MANY or len(draws) < 2:
        return None
    rng = generator(seed, "modes")
    potential, score = target.potential, target.score
    own = draws[torch.randperm(len(draws), generator=rng)[:_FROM_MODEL]]
    chains = annealed_points(potential, score, draws, _ANNEALED, rng)
    points = torch.cat([own, overdispersed(draws, _WIDE, rng), chains])
    ends = climb(potential, score, points)
    of_model, finite = ends[: len(own)], ends[torch.isfinite(ends).all(1)]
    spread = draws.std(0)
    middle = finite.median(0)[0]
    width = torch.maximum(spread, (finite - middle).abs().median(0)[0]).clamp_min(1e-8)
    lost: list[tuple[Mode, float]] = []
    for mode in distinct_modes(potential, score, ends, width):
        fraction = 1 / (1 + math.exp(min(log_z - mode.log_mass, 700.0)))
        if fraction < _MATTERS:
            continue
        near = float((mode.distance(draws) <= _reach(draws.shape[1])).double().mean())
        reached = float((mode.distance(of_model) <= 1).double().mean())
        if max(near, reached) < _FEW * fraction and _is_isolated(target, mode, draws):
            lost.append((mode, near))
    return _told(lost, log_z)


def _reach(dim: int) -> float:
    """Return the squared radius that holds nearly all of a standard normal law."""
    return dim + 4 * math.sqrt(2 * dim)


def _is_isolated(target: Target, mode: Mode, draws: Tensor) -> bool:
    """Return whether every way from the mode to near draws of similar density has a dip."""
    values = target.potential(draws)
    similar = draws[values <= mode.potential + _reach(draws.shape[1])]
    if len(similar) == 0:
        return True
    near = similar[mode.distance(similar).argsort()[:_NEAREST]]
    t = torch.linspace(0, 1, _ON_THE_WAY, dtype=draws.dtype)[:, None, None]
    way = ((1 - t) * mode.x + t * near).reshape(-1, draws.shape[1])
    along = target.potential(way).reshape(_ON_THE_WAY, -1)
    highest_end = torch.maximum(along[0], along[-1])
    return bool((along.amax(0) > highest_end + _DIP).all())


def _told(lost: list[tuple[Mode, float]], log_z: float) -> tuple[LostMode, ...]:
    """Return the modes, the heaviest first, with their fractions of all mass that was found."""
    masses = torch.tensor([log_z, *(mode.log_mass for mode, _ in lost)], dtype=torch.float64)
    shares = masses.softmax(0)[1:].tolist()
    made = [
        LostMode(tuple(mode.x.tolist()), -mode.potential, fraction, near)
        for (mode, near), fraction in zip(lost, shares, strict=True)
    ]
    return tuple(sorted(made, key=lambda mode: -mode.fraction))
