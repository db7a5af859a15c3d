"""The reference sample of a target: exact draws, or passes of a tempered sequential sampler."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TypedDict

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import DataError
from wopt.interfaces import Budget, Target
from wopt.seeds import generator
from wopt.statistics import even_power
from wopt_posterior.reference.laws import StartingMixture
from wopt_posterior.reference.moves import LogDensity, density_of, height_of, move, trajectory
from wopt_posterior.reference.search import STARTS, search_modes

POINTS = 500
"""Number of points of a pass."""
_LEVELS, _STEPS = 80, 12
_SIZE, _TAKEN = 0.2, 0.65
"""Length of the first leapfrog steps, and the acceptance at which they cost least (Beskos, Pillai,
Roberts, Sanz-Serna, Stuart, *Optimal tuning of the hybrid Monte Carlo algorithm*, 2013)."""
_EVEN = 0.5
"""Relative effective size of the weights from one temperature to the next."""


class Moments(TypedDict):
    """Means and standard deviations by coordinate, with their errors."""

    means: tuple[float, ...]
    means_error: tuple[float, ...]
    sds: tuple[float, ...]
    sds_error: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Reference:
    """Points of a target, the errors of means over them, and log Z.

    Attributes:
        points: The points, shape ``(m, d)``, float64.
        weights: Their weights, shape ``(m,)``, which sum to one.
        families: Points of one number descend from one draw, shape ``(m,)``; families are
            independent. Exact draws are families of one.
        log_z, log_z_error: log Z and its standard error, nats; NaN where exact draws say nothing.
        trajectories: Number of trajectories that the points made last.
        ascents: Number of ascents by which modes were sought; 0 for exact draws.
    """

    points: Tensor
    weights: Tensor
    families: Tensor
    log_z: float = math.nan
    log_z_error: float = math.nan
    trajectories: int = 0
    ascents: int = 0

    @classmethod
    def exact(cls, draws: Tensor) -> Reference:
        """Return independent draws of the target, shape ``(m, d)``, as a reference sample."""
        m = len(draws)
        return cls(draws.double().cpu(), torch.full((m,), 1 / m).double(), torch.arange(m))

    @property
    def is_exact(self) -> bool:
        """Whether the points are independent draws of the target."""
        return len(self.families.unique()) == len(self.points) and math.isnan(self.log_z)

    def mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of values, shape ``(m, ...)``, under the target, and its standard error.

        The error is that of a mean over families, as those are independent.

        Source: Chan, Lai, *A general theory of particle filters in hidden Markov models and some
        applications*, 2013.

        Example:
            >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).double()
            >>> mean, error = Reference.exact(x).mean(x[:, 0])
            >>> abs(float(mean)) < 4 * float(error), round(float(error), 3)
            (True, 0.033)
        """
        mean = torch.tensordot(self.weights, values.double(), 1)
        parts = self.weights.reshape(-1, *[1] * (values.dim() - 1)) * (values - mean)
        _, family = self.families.unique(return_inverse=True)
        of_family = parts.new_zeros(int(family.max()) + 1, *values.shape[1:])
        return mean, of_family.index_add(0, family, parts).square().sum(0).sqrt()

    def moments(self) -> Moments:
        """Return means and standard deviations of the points, with their standard errors.

        Example:
            >>> x = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])
            >>> found = Reference.exact(x).moments()
            >>> found["means"], found["sds"]
            ((0.0,), (1.0,))
        """
        means, means_error = self.mean(self.points)
        variances, error = self.mean((self.points - means).square())
        sds = variances.sqrt()
        values = means, means_error, sds, error / (2 * sds.clamp_min(1e-300))
        m, m_error, s, s_error = (tuple(v.tolist()) for v in values)
        return {"means": m, "means_error": m_error, "sds": s, "sds_error": s_error}

    def drawn(self, count: int, rng: torch.Generator) -> Reference:
        """Return equally weighted points, ``count`` of them, by systematic resampling."""
        rows = _drawn_again(self.weights, rng, count)
        rows = rows[torch.randperm(count, generator=rng)]
        even = torch.full((count,), 1 / count).double()
        return dataclasses.replace(
            self, points=self.points[rows], weights=even, families=self.families[rows]
        )

    @torch.no_grad()
    def travelled(
        self, target: Target, budget: Budget, count: int | None, rng: torch.Generator
    ) -> Reference:
        """Return the points after Hamiltonian trajectories, each half by the other's covariance.

        They fill what is far along arms, where steps are too short and resampling has nothing to
        draw. Points of one family become independent as they move, and errors become smaller.

        Args:
            budget: CPU seconds; one trajectory is made, at least.
            count: Number of trajectories, in place of the budget.
        """
        points, made = budget.run(_moved(density_of(target), self.points, rng), recorded=count)
        assert points is not None
        return dataclasses.replace(self, points=points, trajectories=made)


@torch.no_grad()
def reference_of(
    target: Target,
    dim: int,
    seed: int,
    budget: Budget,
    passes: int | None = None,
    start: Tensor | None = None,
) -> Reference:
    """Return a reference sample of a target: exact draws where it has them.

    For others a third of the budget goes to the search for modes, a third to passes of a tempered
    sampler, and the rest to Hamiltonian trajectories; one of each is made, at least.

    Args:
        budget: CPU seconds.
        passes: Number of passes, in place of the budget, with five rounds of the search and five
            trajectories for each.
        start: Points from which to start too, shape ``(k, d)``.

    Raises:
        DataError: The density is finite at none of the points from which the search starts.

    Example:
        >>> import wopt
        >>> two = wopt.build("target", {"name": "potential",
        ...     "function": lambda x: 8 * (x[:, 0].abs() - 6).square()})
        >>> found = reference_of(two, 1, 0, Budget(), passes=1)
        >>> abs(found.log_z - math.log(2 * math.sqrt(math.pi / 8))) < 5 * found.log_z_error
        True
    """
    rng = generator(seed, "reference")
    if Capability.TARGET_SAMPLES in target.provides:
        return Reference.exact(target.sample(POINTS * (passes or 8), dim, rng))
    density, rounds = density_of(target), None if passes is None else 5 * passes
    search = search_modes(density, dim, rng, start, height_of(target) if passes is None else None)
    base, made = budget.share(1 / 3).run(search, recorded=rounds)
    assert base is not None
    time = budget.share(1 / 3)
    steps = time if passes is None else Budget()
    found, _ = time.run(sequence(density, base, POINTS, rng, steps), recorded=passes)
    assert found is not None
    found = dataclasses.replace(found, ascents=made * STARTS)
    return found.travelled(target, budget, rounds, rng)


def sequence(
    density: LogDensity,
    base: StartingMixture,
    count: int,
    rng: torch.Generator,
    budget: Budget = Budget(),  # noqa: B008
) -> Iterator[Reference]:
    """Yield reference samples of one pass, two passes, three, ...

    A pass goes from a mixture g of known modes and wide laws through  p^b g^(1 - b)  with b from 0
    to 1: at each temperature points are drawn again by their weights and make Metropolis steps. As
    g has each known mode at its own width, b changes a mode's mass little, however narrow it is.
    When the budget is spent, a pass is finished with one step at each temperature.

    Source: Del Moral, Doucet, Jasra, *Sequential Monte Carlo samplers*, 2006; Tawn, Roberts,
    Rosenthal, *Weight-preserving simulated tempering*, 2020.
    """
    points: list[Tensor] = []
    families: list[Tensor] = []
    log_z: list[float] = []
    while True:
        x, family, value = _pass(density, base, count, rng, budget)
        points.append(x)
        families.append(family + count * len(families))
        log_z.append(value)
        of_pass = torch.tensor(log_z, dtype=torch.float64)
        w = of_pass.softmax(0).repeat_interleave(count) / count
        found = Reference(torch.cat(points), w, torch.cat(families))
        yield dataclasses.replace(
            found,
            log_z=float(of_pass.logsumexp(0)) - math.log(len(log_z)),
            log_z_error=_size_error(found),
        )


def _moved(density: LogDensity, x: Tensor, rng: torch.Generator) -> Iterator[Tensor]:
    """Yield the points after trajectories, each half by the covariance of the other."""
    (left, right), size = x.tensor_split(2), _SIZE
    while True:
        left, of_left = trajectory(density, left, right, size, rng)
        right, of_right = trajectory(density, right, left, size, rng)
        size *= math.exp((of_left + of_right) / 2 - _TAKEN)
        yield torch.cat([left, right])


def _size_error(found: Reference) -> float:
    """Return the relative standard error of Z, by the spread of the families' weights."""
    _, family = found.families.unique(return_inverse=True)
    sizes = found.weights.new_zeros(int(family.max()) + 1).index_add(0, family, found.weights)
    return float(sizes.square().sum().sqrt())


def _pass(
    density: LogDensity, base: StartingMixture, count: int, rng: torch.Generator, budget: Budget
) -> tuple[Tensor, Tensor, float]:
    """Return points, the draw of g from which each descends, and log Z."""
    x, b, log_z = base.sample(count, rng), 0.0, 0.0
    family, half = torch.arange(count), count // 2
    for level in range(_LEVELS):
        gain = density(x)[0] - base(x)[0]
        gain = torch.where(gain.isfinite(), gain, -torch.inf)
        if not bool((gain > -torch.inf).any()):
            raise DataError("log_prob is finite at none of the points from which sampling starts")
        least = b ** (1 - 1 / (_LEVELS - level))  # so that it ends, by equal factors
        after = max(least, b + (1 - b) * even_power((1 - b) * gain, _EVEN))
        log_w = (after - b) * gain
        log_z += float(log_w.logsumexp(0)) - math.log(count)
        rows = _drawn_again(log_w.softmax(0), rng, count)
        rows = rows[torch.randperm(count, generator=rng)]
        x, family, b = x[rows], family[rows], after
        law = _between(base, density, b)
        # Each half moves by proposals that the other shapes.
        for _ in zip(range(_STEPS), budget.clock(), strict=False):
            left = move(law, x[:half], x[half:], rng)
            x = torch.cat([left, move(law, x[half:], left, rng)])
        if b >= 1:
            break
    return x, family, log_z


def _between(first: LogDensity, last: LogDensity, b: float) -> LogDensity:
    def density(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tempered log-density, shape ``(n,)``, and its gradient, ``(n, d)``."""
        (f, df), (g, dg) = last(x), first(x)
        return b * f + (1 - b) * g, b * df + (1 - b) * dg

    return density if b < 1 else last


def _drawn_again(w: Tensor, rng: torch.Generator, count: int) -> Tensor:
    """Return indices drawn by weights, systematically."""
    levels = (torch.arange(count) + torch.rand((), generator=rng)) / count
    return torch.searchsorted(w.cumsum(0), levels.to(w)).clamp_max(len(w) - 1)
