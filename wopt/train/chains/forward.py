"""Training towards chains: the likelihood of points that a model's own draws may not reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.target import Target
from wopt.particles import Particles
from wopt.train.chains.anneal import density_of
from wopt.train.chains.moves import move
from wopt.train.chains.seen import log_density_at, seen_by_chains

__all__ = ["Forward"]

_BATCH = 500
_STEPS = 20
"""Metropolis steps of all chains between two rounds of training."""
_EXTRA = 0.5
"""What chains may add to the cost of training, in the mean."""
_EVEN = 0.5
"""Effective share of the weights below which a map may yet settle on a part of the target."""


@dataclasses.dataclass
class Forward:
    """Chains of the target beside a map that is trained, and the mean of -log q at them.

    KL(q | p), which is estimated at draws of the model q, does not see what they do not reach, and
    is small where q is one of several modes or lacks an arm. KL(p | q) = E_p[-log q] + constant is
    estimated at the chains. These make local steps, and they may jump to draws of q:

        from x to y ~ q with probability  min(1, w(y)/w(x)),    w = p/q,

    so that the better q is, the faster they mix, and the masses of modes become right.

    Attributes:
        target: Of the chains, known by its potential V.
        start: The log-density of the particles that the map moves.
        points: Where the chains are, shape ``(m, d)``.
        chance: Draws proposals.
        cost: How many iterations one that is trained by the chains too counts as; the dearer, the
            fewer there are.
        alone: Whether an iteration that is trained by the chains is trained by nothing else: it
            minimises KL(p | q), and not its sum with KL(q | p).
        jump: One iteration of so many by the chains proposes jumps.
        needed: Whether the map has to be trained by them: where weights were very uneven, or the
            chains ever saw what the model's draws did not.
        count: Iterations so far.

    Source: Gabrie, Rotskoff, Vanden-Eijnden, *Adaptive Monte Carlo augmented with normalizing
    flows*, PNAS 2022.
    """

    target: Target
    start: Callable[[Tensor], Tensor]
    points: Tensor
    chance: torch.Generator
    cost: float = 1.0
    alone: bool = False
    jump: int = 1
    needed: bool = False
    count: int = 0

    @property
    def every(self) -> int:
        """One iteration of so many is trained by the chains too, if they are needed."""
        return max(1, round((self.cost - 1) / _EXTRA))

    @property
    def mean_cost(self) -> float:
        """What an iteration counts as in the mean."""
        return 1 + (self.cost - 1) / self.every if self.needed else 1.0

    def loss(self, block: FlowBlock, particles: Particles) -> Tensor | None:
        """Return -E log q at the next chains, or ``None`` where it is not their turn.

        Args:
            block: The map that makes q of the particles.
            particles: Before the map: their images are what chains may jump to.
        """
        self.count += 1
        if not self.needed or self.count % self.every:
            return None
        rows = self._next_rows()
        x = move(density_of(self.target), self.points[rows], self.points, self.chance)
        log_q = log_density_at(self.start, [block], x)
        jumps = self.count // self.every % self.jump == 0
        at = self._jumped(block, particles.points, x, log_q.detach()) if jumps else x
        self.points = self.points.index_copy(0, rows, at)
        usable = log_q.isfinite()
        return -torch.where(usable, log_q, 0.0).sum() / usable.sum().clamp_min(1)

    @torch.no_grad()
    def renew(self, block: FlowBlock, particles: Particles, share: float) -> float:
        """Move all chains, and return the share, or less if they see more than the draws.

        Args:
            block: The map.
            particles: Before the map.
            share: The effective share of the weights of draws.
        """
        half, density = len(self.points) // 2, density_of(self.target)
        x = self.points[torch.randperm(len(self.points), generator=self.chance, device=self._at)]
        left = move(density, x[:half], x[half:], self.chance, _STEPS)
        x = torch.cat([left, move(density, x[half:], left, self.chance, _STEPS)])
        log_q = log_density_at(self.start, [block], x)
        _, of_draws = self._weighed(block, particles.points)
        seen = seen_by_chains(self._value(x) - log_q, of_draws)
        self.points = self._jumped(block, particles.points, x, log_q)
        self.needed |= seen < share or share < _EVEN
        return min(seen, share)

    @torch.no_grad()
    def gain(self, block: FlowBlock) -> float:
        """Return by how much the mean of log q at the chains is above that without the map."""
        now = log_density_at(self.start, [block], self.points)
        return float((now - self.start(self.points)).mean())

    @torch.no_grad()
    def _jumped(self, block: FlowBlock, at: Tensor, x: Tensor, log_q: Tensor) -> Tensor:
        """Return the chains after a jump to draws of the model, one for each."""
        n, where = len(x), self._at
        at = at[torch.randint(len(at), (n,), generator=self.chance, device=where)]
        y, there = self._weighed(block, at)
        u = torch.rand(n, generator=self.chance, device=where)
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
