"""The search for modes of a target, from which its reference sample starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.errors import DataError
from wopt.interfaces import Budget, Clock
from wopt_posterior.reference.laws import StartingMixture
from wopt_posterior.reference.moves import LogDensity
from wopt_posterior.reference.parts import joined, mode_of

_HISTORY, _HALVINGS, _SLOPE = 10, 12, 1e-4
STARTS, _TRIED = 64, 32
"""Ascents of a round, and points that are tried at once for each."""
_OUT = 8
"""How often the distance from a mode is doubled, at most."""
_MOST = 40
"""Modes at most."""
_GAIN = 1e-2
"""What a Newton step may gain at a mode, nats."""


@torch.no_grad()
def ascend(density: LogDensity, x: Tensor, iterations: int = 100, within: float = 1e-5) -> Tensor:
    """Return the ends of ascents on a log-density from each row, shape ``(n, d)``; it never falls.

    Rows are independent. A row that meets a value that is not finite stays where it is.

    Args:
        x: The initial points, shape ``(n, d)``.
        iterations: Number of iterations at most.

    Source: Nocedal, Wright, *Numerical optimization*, 2006, algorithm 7.4, with Armijo's rule.

    Example:
        >>> a = torch.tensor([1.0, 100.0]).double()
        >>> ends = ascend(lambda x: (-(a * x * x).sum(1) / 2, -a * x),
        ...     torch.tensor([[3.0, 1.0], [-2.0, 0.1]]).double())
        >>> float(ends.abs().max()) < 1e-5
        True
    """
    x = x.clone()
    value, slope = density(x)
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    for _ in range(iterations):
        norm = slope.norm(dim=1)
        open_rows = value.isfinite() & norm.isfinite() & (norm > within)
        if not bool(open_rows.any()):
            break
        direction = _direction(slope, steps, changes)
        falls = ~((direction * slope).sum(1) > 0)
        direction[falls] = slope[falls]
        # The first step has no scale: at most of length one.
        length = torch.ones_like(value) if steps else 1 / norm.clamp_min(1.0)
        before = x, slope
        x, value, slope = _search(density, x, value, slope, direction, length, open_rows)
        if torch.equal(x, before[0]):
            break
        steps.append(x - before[0])
        changes.append(before[1] - slope)
        del steps[:-_HISTORY], changes[:-_HISTORY]
    return x


def _search(
    density: LogDensity,
    x: Tensor,
    value: Tensor,
    slope: Tensor,
    direction: Tensor,
    length: Tensor,
    rows: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows' ends by Armijo's rule, with the log-density and its gradient there."""
    x, value, slope, ahead = x.clone(), value.clone(), slope.clone(), rows.nonzero()[:, 0]
    gain = _SLOPE * (direction * slope).sum(1)
    for _ in range(_HALVINGS):
        trial = x[ahead] + length[ahead, None] * direction[ahead]
        at, slope_at = density(trial)
        good = (at >= value[ahead] + length[ahead] * gain[ahead]) & slope_at.isfinite().all(1)
        done = ahead[good]
        x[done], value[done], slope[done] = trial[good], at[good], slope_at[good]
        ahead = ahead[~good]
        if not len(ahead):
            break
        length = length / 2
    return x, value, slope


def _direction(slope: Tensor, steps: list[Tensor], changes: list[Tensor]) -> Tensor:
    """Return the approximate inverse Hessian of -log p times the gradient (two-loop recursion)."""
    q = slope.clone()
    kept = []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        curvature = (s * y).sum(1)
        usable = curvature > 1e-12 * s.norm(dim=1) * y.norm(dim=1)
        rho = torch.where(usable, 1 / torch.where(usable, curvature, 1.0), 0.0)
        alpha = rho * (s * q).sum(1)
        q = q - alpha[:, None] * y
        kept.append((s, y, rho, alpha))
    if steps:
        s, y = steps[-1], changes[-1]
        curvature, square = (s * y).sum(1), y.square().sum(1)
        usable = (curvature > 0) & (square > 0)
        q = q * torch.where(usable, curvature / torch.where(usable, square, 1.0), 1.0)[:, None]
    for s, y, rho, alpha in reversed(kept):
        beta = rho * (y * q).sum(1)
        q = q + (alpha - beta)[:, None] * s
    return q


@torch.no_grad()
def search_modes(
    density: LogDensity,
    dim: int,
    rng: torch.Generator,
    start: Tensor | None = None,
    height: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[StartingMixture]:
    """Yield the laws of the origin and of the modes that are found.

    Each round of ascents finds more. The first starts around the origin, at scales from 1/16 to 16.
    Others start at 1 to 256 deviations from a mode, in all coordinates or in some: each at the
    highest of points that are equally likely in the normal law of that mode. A point where another
    mode begins is the highest of them. Points are tried for as long as the ascents before took, as
    a narrow mode takes many. Curvature gives the covariance of each mode.

    Args:
        start: Points from which ascents start too, shape ``(k, d)``.
        height: The log-density alone, ``(n, d)`` to ``(n,)``, by which points are tried; without
            it 32 points are tried for each ascent, whatever the time.
    """
    scale = torch.exp2(8 * torch.rand(STARTS, 1, generator=rng).double() - 4)
    starts = scale * torch.randn(STARTS, dim, generator=rng, dtype=torch.float64)
    starts = starts if start is None else torch.cat([start, starts])
    starts = starts[density(starts)[0].isfinite()]
    if not len(starts):
        raise DataError(
            f"log_prob is finite at none of {STARTS} points of its support around the origin of "
            "the free coordinates; give `start`, points where it is"
        )
    found = StartingMixture(torch.zeros(1, dim).double(), torch.eye(dim).double()[None])
    while len(found.means) <= _MOST:
        watch = Stopwatch()
        new, roots = _new_modes(density, ascend(density, starts), found.means[1:], rng)
        spent = watch.cpu
        means, roots = torch.cat([found.means, new]), torch.cat([found.roots, roots])
        found = StartingMixture(means, roots)
        yield found
        time = Budget(spent).clock(1 if height is None else None)
        starts = _far(height or (lambda x: density(x)[0]), found, rng, time)


def _far(
    height: Callable[[Tensor], Tensor], known: StartingMixture, rng: torch.Generator, time: Clock
) -> Tensor:
    """Return points away from known modes, each the highest of many at one distance."""
    shape, dim = (STARTS, _TRIED), known.means.shape[1]
    k = torch.randint(len(known.means), (STARTS,), generator=rng)
    far = torch.exp2(_OUT * torch.rand(STARTS, 1, 1, generator=rng).double())
    # Along a few coordinates, or all: modes that differ in one are common.
    taken = dim ** -(2 * torch.rand(STARTS, 1, 1, generator=rng).double() - 1).clamp_min(0)
    best, highest = known.means[k], torch.full((STARTS,), -torch.inf).double()
    for _ in time:
        away = torch.randn(*shape, dim, generator=rng).double()
        away = away * (torch.rand(*shape, dim, generator=rng) < taken)
        away = away / away.norm(dim=2, keepdim=True).clamp_min(1e-300)
        points = known.means[k, None] + far * away @ known.roots[k].mT
        value, at = height(points.flatten(0, 1)).view(shape).max(1)
        higher = value > highest
        best[higher] = points[torch.arange(STARTS), at][higher]
        highest = torch.where(higher, value, highest)
    return best[highest.isfinite()]


def _new_modes(
    density: LogDensity, ends: Tensor, known: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return modes that no line joins to a known one, with roots of their covariances."""
    new, roots = ends[:0], ends.new_zeros(0, *2 * ends.shape[1:])
    if len(known) and len(ends):
        ends = ends[~joined(density, ends, known[torch.cdist(ends, known).argmin(1)])]
    if not len(ends):
        return new, roots
    points = torch.cat([known, ends])
    part, value = mode_of(density, points, rng), density(points)[0]
    value[: len(known)] = torch.inf
    for k in range(min(int(part.max()) + 1, _MOST)):
        highest = int(torch.where(part == k, value, -torch.inf).argmax())
        root, gain = _curvature(density, points[highest])
        if highest >= len(known) and gain < _GAIN:
            new, roots = torch.cat([new, points[highest][None]]), torch.cat([roots, root[None]])
    return new, roots


def _curvature(density: LogDensity, x: Tensor) -> tuple[Tensor, float]:
    """Return a root of the inverse curvature of -log p, and what a Newton step would gain, nats."""
    step = 1e-4 * torch.eye(len(x)).to(x)
    curvature = -(density(x + step)[1] - density(x - step)[1]) / 2e-4
    if not bool(curvature.isfinite().all()):
        return torch.eye(len(x)).to(x), torch.inf
    values, vectors = torch.linalg.eigh((curvature + curvature.T) / 2)
    # Along a ridge, or where there is no mode, the curvature is zero or has the wrong sign.
    root = (vectors * values.abs().clamp_min(1e-4).rsqrt()) @ vectors.T
    return root, float((density(x[None])[1] @ root).square().sum()) / 2
