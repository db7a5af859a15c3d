"""Training towards chains, and what they see of the target that a model's draws do not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.interfaces import FlowBlock, Target
from wopt.particles import Particles
from wopt_posterior.reference import density_of, move

_ERRORS = 3.0
"""Standard errors of the divergence that are tolerated."""
_PER_CHAIN = 4.0
"""Chains that count as one independent draw, as they began at few resampled points."""


def log_density_at(
    start: Callable[[Tensor], Tensor], blocks: Sequence[FlowBlock], y: Tensor
) -> Tensor:
    """Return the model's log-density at points, shape ``(n,)``, nats.

    Args:
        start: The log-density of the law that the blocks carry, ``(n, d)`` to ``(n,)``.
        y: The points, shape ``(n, d)``.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> x, start = torch.ones(1, 1), lambda x: -x[:, 0].square() / 2
        >>> log_density_at(start, [AffineBlock(1)], x).item()
        -0.5
    """
    total = y.new_zeros(len(y))
    for block in reversed(blocks):
        back = block.differentiable_inverse if torch.is_grad_enabled() else block.inverse
        y, log_det = back(y)
        total = total + log_det
    return total + start(y)


def seen_by_chains(of_chains: Tensor, of_draws: Tensor) -> float:
    """Return exp(-KL(p | q)) as estimated at chains, an upper bound of the relative effective size.

    As KL(p | q) = E_p log w - log Z <= log(1 + chi^2) = -log(relative effective size of weights w),
    a value below that size says that chains are where the model's draws are not.

    Args:
        of_chains: -V - log q at the chains, shape ``(m,)``, nats.
        of_draws: The same at draws of the model, shape ``(n,)``, nats.

    Source: van Erven, Harremoes, *Renyi divergence and Kullback-Leibler divergence*, 2014.

    Example:
        >>> seen_by_chains(torch.zeros(100), torch.zeros(500))
        1.0
        >>> seen_by_chains(2 * torch.ones(100), torch.zeros(500)) < 0.2
        True
    """
    log_z = float(of_draws.logsumexp(0)) - math.log(len(of_draws))
    if not bool(of_chains.isfinite().all()) or not math.isfinite(log_z):
        return 0.0
    error = float(of_chains.std()) * math.sqrt(_PER_CHAIN / len(of_chains))
    return math.exp(-max(0.0, float(of_chains.mean()) - log_z - _ERRORS * error))


_BATCH = 500
_STEPS = 20
"""Metropolis steps of all chains between two rounds of training."""
_EXTRA = 0.5
"""Mean cost that chains may add to training, as a fraction of its cost."""
_EVEN = 0.5
"""Relative effective size of the weights below which a map may cover only a part of the target."""


@dataclasses.dataclass
class Forward:
    """Chains of the target beside a map that is trained, and the mean of -log q at them.

    KL(q | p) is estimated at draws of the model q. It is blind to regions that they do not reach
    and small where q is one of several modes. KL(p | q) = E_p[-log q] + constant is estimated at
    the chains. These make local steps, and they may jump to draws of q:

        from x to y ~ q with probability  min(1, w(y)/w(x)),    w = p/q,

    so that the better q is, the faster they mix, and the masses of modes become right.

    Attributes:
        target: Law of the chains, known by its potential V.
        start: The log-density of the particles that the map moves, ``(n, d)`` to ``(n,)``, nats.
        points: The chains, shape ``(m, d)``.
        cost: Cost of an iteration that is also trained on the chains, in iterations that are not;
            the higher it is, the fewer there are.
        alone: Whether an iteration on the chains minimises KL(p | q) alone, and not its sum with
            KL(q | p).
        jump: One in so many iterations on the chains proposes jumps.
        needed: Whether the map has to be trained on them: weights were very uneven, or the chains
            ever found mass that the model's draws missed.

    Source: Gabrie, Rotskoff, Vanden-Eijnden, *Adaptive Monte Carlo augmented with normalizing
    flows*, PNAS 2022.
    """

    target: Target
    start: Callable[[Tensor], Tensor]
    points: Tensor
    rng: torch.Generator
    cost: float = 1.0
    alone: bool = False
    jump: int = 1
    needed: bool = False
    count: int = 0

    @property
    def every(self) -> int:
        """One in so many iterations is also trained on the chains, if they are needed."""
        return max(1, round((self.cost - 1) / _EXTRA))

    @property
    def mean_cost(self) -> float:
        """The mean cost of an iteration, in iterations without chains."""
        return 1 + (self.cost - 1) / self.every if self.needed else 1.0

    def loss(self, block: FlowBlock, particles: Particles) -> Tensor | None:
        """Return -E log q at the next chains, shape ``()``, nats; ``None`` if it is not their turn.

        Args:
            block: The map, whose image of the particles has the law q.
            particles: Particles before the map; chains may jump to their images.
        """
        self.count += 1
        if not self.needed or self.count % self.every:
            return None
        rows = self._next_rows()
        x = move(density_of(self.target), self.points[rows], self.points, self.rng)
        log_q = log_density_at(self.start, [block], x)
        jumps = self.count // self.every % self.jump == 0
        at = self._jumped(block, particles.points, x, log_q.detach()) if jumps else x
        self.points = self.points.index_copy(0, rows, at)
        usable = log_q.isfinite()
        return -torch.where(usable, log_q, 0.0).sum() / usable.sum().clamp_min(1)

    @torch.no_grad()
    def renew(self, block: FlowBlock, particles: Particles, fraction: float) -> float:
        """Move all chains; return the share, or less if they find mass that draws miss."""
        half, density = len(self.points) // 2, density_of(self.target)
        x = self.points[torch.randperm(len(self.points), generator=self.rng, device=self._at)]
        left = move(density, x[:half], x[half:], self.rng, _STEPS)
        x = torch.cat([left, move(density, x[half:], left, self.rng, _STEPS)])
        log_q = log_density_at(self.start, [block], x)
        _, of_draws = self._weighed(block, particles.points)
        seen = seen_by_chains(self._value(x) - log_q, of_draws)
        self.points = self._jumped(block, particles.points, x, log_q)
        self.needed |= seen < fraction or fraction < _EVEN
        return min(seen, fraction)

    @torch.no_grad()
    def gain(self, block: FlowBlock) -> float:
        """Return the rise of the mean of log q at the chains by the map, in nats."""
        now = log_density_at(self.start, [block], self.points)
        return float((now - self.start(self.points)).mean())

    @torch.no_grad()
    def _jumped(self, block: FlowBlock, at: Tensor, x: Tensor, log_q: Tensor) -> Tensor:
        """Return the chains after a proposed jump to draws of the model."""
        n, where = len(x), self._at
        at = at[torch.randint(len(at), (n,), generator=self.rng, device=where)]
        y, there = self._weighed(block, at)
        u = torch.rand(n, generator=self.rng, device=where)
        good = u.log() < there - (self._value(x) - log_q)  # not for NaN
        return torch.where((good & there.isfinite())[:, None], y, x)

    def _weighed(self, block: FlowBlock, at: Tensor) -> tuple[Tensor, Tensor]:
        """Return draws of the model and their log weights, -infinity where they overflowed."""
        y, log_det = block(at)
        log_w = self._value(y) - (self.start(at) - log_det)
        return y, torch.where(log_w.isfinite() & y.isfinite().all(1), log_w, -torch.inf)

    def _value(self, x: Tensor) -> Tensor:
        return -self.target.potential(x)

    def _next_rows(self) -> Tensor:
        m = len(self.points)
        rows = torch.arange(min(_BATCH, m), device=self._at)
        return (rows + self.count // self.every * _BATCH) % m

    @property
    def _at(self) -> torch.device:
        return self.points.device
