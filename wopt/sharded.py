"""Particles of which every process of a team holds only its own rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wopt.parallel import SOLO, Team, collective
from wopt.parallel.rows import own_draws
from wopt.particles import Particles


@dataclasses.dataclass(frozen=True)
class ShardedParticles(Particles):
    """The rows of this process of particles shared by a team.

    The n rows of a batch are sent by the processes that hold them, and every process receives all
    of them, in one message of at most n (d + k + 3) numbers.

    Attributes:
        team: The processes.
        total: Number of particles over all processes.
        known_checksum: Checksum of all particles, see :meth:`Particles.checksum`.
    """

    team: Team = SOLO
    total: int = 0
    known_checksum: tuple[float, ...] = ()

    def __len__(self) -> int:
        return self.total

    @property
    def own(self) -> Particles:
        """The rows of this process."""
        return Particles(**self.each(lambda value: value))

    def checksum(self) -> list[float]:
        """Return the checksum of all particles."""
        return list(self.known_checksum)

    def known(self) -> ShardedParticles:
        """Return the same particles with their checksum; all processes send a few rows."""
        few = self.rows(torch.arange(0, self.total, max(1, self.total // 1000)))
        return dataclasses.replace(
            self, known_checksum=(self.total, *torch.cat(few.inputs, 1).double().sum(0).tolist())
        )

    def rows(self, index: Tensor | slice) -> Particles:
        """Return the particles of an index, shape ``(m,)``, on every process."""
        own = self.each(lambda value: value)
        found = self._fetched(index, list(own.values()))
        return Particles(**dict(zip(own, found, strict=True))).rows(slice(None))

    def pick(self, values: Tensor, index: Tensor | slice) -> Tensor:
        """Return values at an index, shape ``(m, ...)``, from those of this process's rows."""
        return self._fetched(index, [values])[0]

    def through(self, function: Callable[..., Any]) -> list[Tensor]:
        """Return a function of this process's rows, shape ``(n, ...)``, of which none are sent."""
        with own_draws(self.team):
            return self.team.together(lambda: self.own.through(function))

    def _fetched(self, index: Tensor | slice, values: list[Tensor]) -> list[Tensor]:
        """Return rows of tensors that are spread over processes, sent in one message."""
        of = self.team
        if isinstance(index, slice):
            index = torch.arange(self.total, device=self.points.device)[index]
        span = of.span(self.total)
        here = (index >= span.start) & (index < span.stop)
        own = index[here] - span.start
        flat = torch.cat([v.reshape(len(v), -1)[own] for v in values], dim=1)
        whole = flat.new_zeros(len(index), flat.shape[1])
        whole[here] = flat
        collective.all_reduce(whole)  # exact, as all but one process add zeros
        columns = whole.split([v[:1].numel() or 1 for v in values], dim=1)
        return [c.reshape(-1, *v.shape[1:]) for c, v in zip(columns, values, strict=True)]


def own_rows(particles: Particles, of: Team, total: int) -> ShardedParticles:
    """Return loaded particles as this process's part of ``total``."""
    own = particles.each(lambda value: value)
    return ShardedParticles(**own, team=of, total=total)  # type: ignore[arg-type]


def held(particles: Particles, of: Team) -> Particles:
    """Return this process's part of particles, or all of them if it is alone."""
    if of.size == 1:
        return particles
    if isinstance(particles, ShardedParticles):
        return particles if particles.known_checksum else particles.known()
    span = of.span(len(particles))
    own = Particles(**particles.each(lambda value: value[span].clone()))
    made = own_rows(own, of, len(particles))
    return dataclasses.replace(made, known_checksum=tuple(particles.checksum()))
