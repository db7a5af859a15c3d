"""Modes of a target: the search for them, the mass they hold, and those that a model has lost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.interfaces import Target
from wopt.seeds import generator
from wopt_posterior.diagnostics.report import LostMode

__all__ = [
    "Mode",
    "annealed_points",
    "climb",
    "distinct_modes",
    "hessian",
    "lost_modes",
    "overdispersed",
]

_HISTORY = 10
_HALVINGS = 25
_SLOPE = 1e-4


@torch.no_grad()
def climb(
    potential: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    iterations: int = 200,
    tolerance: float = 1e-5,
) -> Tensor:
    """Return the end points of descents on V from each row, shape ``(n, d)``; V never rises.

    Rows are independent. A row that meets an infinite V or a NaN stays where it is.

    Args:
        potential: V in nats, ``(n, d)`` to ``(n,)``.
        score: -grad V, ``(n, d)`` to ``(n, d)``.
        x: The initial points, shape ``(n, d)``.
        iterations: Number of iterations at most.
        tolerance: Norm of the score at which a row is done.

    Source: Nocedal, Wright, Numerical optimization, 2006, algorithm 7.4, with Armijo's rule.

    Example:
        >>> a = torch.tensor([1.0, 100.0]).double()
        >>> ends = climb(lambda x: (a * x * x).sum(1) / 2, lambda x: -a * x,
        ...     torch.tensor([[3.0, 1.0], [-2.0, 0.1]]).double())
        >>> float(ends.abs().max()) < 1e-5
        True
    """
    x = x.clone()
    value, gradient = potential(x), -score(x)
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    for _ in range(iterations):
        norm = gradient.norm(dim=1)
        open_rows = torch.isfinite(value) & torch.isfinite(norm) & (norm > tolerance)
        if not bool(open_rows.any()):
            break
        direction = _direction(gradient, steps, changes)
        slope = (direction * gradient).sum(1)
        uphill = ~(slope < 0)
        direction[uphill] = -gradient[uphill]
        slope = (direction * gradient).sum(1)
        length = torch.ones_like(value)
        if not steps:  # the first step has no scale: at most of length one
            length = 1 / norm.clamp_min(1.0)
        moved, reached, changed = _search(potential, x, value, direction, slope, length, open_rows)
        after = gradient.clone()
        if not bool(changed.any()):
            break
        after[changed] = -score(moved[changed])
        steps.append(moved - x)
        changes.append(after - gradient)
        del steps[:-_HISTORY], changes[:-_HISTORY]
        x, value, gradient = moved, reached, after
    return x


def _search(
    potential: Callable[[Tensor], Tensor],
    x: Tensor,
    value: Tensor,
    direction: Tensor,
    slope: Tensor,
    length: Tensor,
    rows: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows' end points by Armijo's rule, V there, and a mask of the rows that moved."""
    moved, reached, ahead = x.clone(), value.clone(), rows.clone()
    for _ in range(_HALVINGS):
        trial = x[ahead] + length[ahead, None] * direction[ahead]
        at = potential(trial)
        good = at <= value[ahead] + _SLOPE * length[ahead] * slope[ahead]
        indices = ahead.nonzero()[:, 0]
        moved[indices[good]], reached[indices[good]] = trial[good], at[good]
        ahead[indices[good]] = False
        length = length / 2
        if not bool(ahead.any()):
            break
    return moved, reached, rows & ~ahead


def _direction(gradient: Tensor, steps: list[Tensor], changes: list[Tensor]) -> Tensor:
    """Return minus the approximate inverse Hessian times the gradient (two-loop recursion)."""
    q = gradient.clone()
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
        scale = torch.where(usable, curvature / torch.where(usable, square, 1.0), 1.0)
        q = q * scale[:, None]
    for s, y, rho, alpha in reversed(kept):
        beta = rho * (y * q).sum(1)
        q = q + (alpha - beta)[:, None] * s
    return -q


_LEVELS = 20
_MOVES = 8


def overdispersed(draws: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return points wider than the model, shape ``(4 count, d)``.

    Two quarters have twice and five times the model's spread around its mean; the others are normal
    around 0 with deviations 1 and 5, the scale of a prior, since a model that collapsed onto a
    point has no spread.

    Args:
        draws: Draws of the model, shape ``(n, d)``.
        count: Rows of each kind.
        rng: Generator of the draws.
    """
    mean, sd = draws.mean(0), draws.std(0)
    parts = []
    for centre, scale in ((mean, 2 * sd), (mean, 5 * sd), (0 * mean, 1.0), (0 * mean, 5.0)):
        z = torch.randn(count, draws.shape[1], dtype=draws.dtype, generator=rng)
        parts.append(centre + scale * z)
    return torch.cat(parts)


@torch.no_grad()
def annealed_points(
    potential: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    draws: Tensor,
    count: int,
    rng: torch.Generator,
) -> Tensor:
    """Return ends of annealed Langevin chains, shape ``(count, d)``, from draws ``(n, d)``.

    The chains follow  exp(-b V - (1 - b) |x - c|^2 / 2 R^2)  while b rises from 0 to 1, by the
    Metropolis-adjusted Langevin algorithm with its own step for each chain; c and R are the model's
    mean and three times its largest deviation, at least 3. Chains pass between modes while the
    target is flat, and so end in each about as often as its basin weighs.

    Source: Kirkpatrick, Gelatt, Vecchi, Optimization by simulated annealing, 1983; Roberts,
    Tweedie, Exponential convergence of Langevin distributions, 1996.
    """
    centre = draws.mean(0)
    radius = 3 * max(float(draws.std(0).max()), 1.0)
    x = centre + radius * torch.randn(count, draws.shape[1], dtype=draws.dtype, generator=rng)
    step = torch.full((count,), 0.1 * radius**2, dtype=draws.dtype)

    def at(points: Tensor, b: float) -> tuple[Tensor, Tensor]:
        """Return the annealed potential, shape ``(n,)``, and its score, shape ``(n, d)``."""
        away = points - centre
        value = b * potential(points) + (1 - b) * away.square().sum(1) / (2 * radius**2)
        slope = b * score(points) - (1 - b) * away / radius**2
        return value, slope

    for level in range(1, _LEVELS + 1):
        b = (level / _LEVELS) ** 3
        value, slope = at(x, b)
        for _ in range(_MOVES):
            noise = torch.randn(x.shape, dtype=x.dtype, generator=rng)
            h = step[:, None]
            proposed = x + h * slope / 2 + h.sqrt() * noise
            new, new_slope = at(proposed, b)
            back = (x - proposed - h * new_slope / 2).square().sum(1) / (2 * step)
            log_ratio = value - new - back + noise.square().sum(1) / 2
            u = torch.rand(count, dtype=x.dtype, generator=rng)
            accepted = torch.isfinite(new) & (u.log() < log_ratio)
            x = torch.where(accepted[:, None], proposed, x)
            value = torch.where(accepted, new, value)
            slope = torch.where(accepted[:, None], new_slope, slope)
            # An acceptance rate of 0.57 is optimal in many dimensions.
            step = step * torch.where(accepted, 1.25, 0.75)
    return x


_DECREMENT = 1e-2
"""Newton decrement g^T H^-1 g, in nats, below which a point is a mode."""
_SAME = 1.0
"""Squared distance, in the Hessian's metric, within which two points are one mode."""


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode of exp(-V).

    Attributes:
        x: The location m, shape ``(d,)``.
        potential: V at m, nats.
        hessian: The Hessian H of V at m, eigenvalues clamped from below, shape ``(d, d)``.
        log_mass: log of exp(-V) det(H / 2 pi)^(-1/2), Laplace's approximation, nats.
    """

    x: Tensor
    potential: float
    hessian: Tensor
    log_mass: float

    def distance(self, points: Tensor) -> Tensor:
        """Return (x - m)^T H (x - m), shape ``(n,)``."""
        away = points - self.x
        return ((away @ self.hessian) * away).sum(1)


def hessian(score: Callable[[Tensor], Tensor], x: Tensor, width: Tensor) -> Tensor:
    """Return the Hessian of V at one point by central differences of the score, ``(d, d)``.

    Args:
        score: -grad V, from shape ``(n, d)`` to ``(n, d)``.
        x: The point, shape ``(d,)``.
        width: The scale of each coordinate, shape ``(d,)``; a difference spans 2e-4 of it.

    Example:
        >>> one = torch.ones(2).double()
        >>> bool(torch.allclose(hessian(lambda x: -3 * x, one, one), 3 * torch.eye(2).double()))
        True
    """
    steps = torch.diag(1e-4 * width)
    matrix = -(score(x + steps) - score(x - steps)) / (2e-4 * width)[:, None]
    return (matrix + matrix.T) / 2


def distinct_modes(
    potential: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    points: Tensor,
    width: Tensor,
    most: int = 40,
) -> list[Mode]:
    """Return the modes among the ends of climbs, the deepest first.

    Args:
        potential: V, from shape ``(n, d)`` to ``(n,)``.
        score: -grad V, from shape ``(n, d)`` to ``(n, d)``.
        points: Ends of climbs, shape ``(n, d)``.
        width: The scale of each coordinate, shape ``(d,)``.
        most: Number of modes at most.
    """
    values = potential(points)
    usable = torch.isfinite(values) & torch.isfinite(points).all(1)
    points, values = points[usable], values[usable]
    modes: list[Mode] = []
    for i in values.argsort().tolist():
        x = points[i]
        if any(float(mode.distance(x[None])) < _SAME for mode in modes):
            continue
        made = _mode(score, x, float(values[i]), width)
        if made is not None:
            modes.append(made)
        if len(modes) == most:
            break
    return modes


def _mode(score: Callable[[Tensor], Tensor], x: Tensor, value: float, width: Tensor) -> Mode | None:
    curvature = hessian(score, x, width)
    if not bool(torch.isfinite(curvature).all()):
        return None
    eigenvalues, vectors = torch.linalg.eigh(curvature)
    # The curvature along a ridge is zero; its width is then at most the scale of the target.
    clamped = eigenvalues.clamp_min(0.01 / float(width.max()) ** 2)
    slope = vectors.T @ score(x[None])[0]
    if float((slope.square() / clamped).sum()) > _DECREMENT:
        return None
    log_mass = -value - float((clamped / (2 * math.pi)).log().sum()) / 2
    return Mode(x, value, (vectors * clamped) @ vectors.T, log_mass)


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
