"""Changes of energies between two states of the same particles, with their standard errors."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.derivatives import energy_derivatives
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import ProximalScheme, Subproblem
from wopt.particles import Particles

__all__ = ["Change", "energy_change", "subproblem_change"]

_GROUPS = 20


@dataclasses.dataclass(frozen=True)
class Change:
    """A mean and its standard error.

    Attributes:
        value: The mean.
        error: Its standard error over independent particles; zero for weighted particles, which
            are quadrature nodes and not drawn.
    """

    value: float
    error: float


def subproblem_change(
    scheme: ProximalScheme,
    subproblem: Subproblem,
    block: FlowBlock,
    before: Particles,
    moved: Particles,
) -> Change:
    """Return F(T) - F(id) of a subproblem on particles.

    Args:
        scheme: Says where the implicit part is evaluated.
        subproblem: F, with its anchor at these particles.
        block: T.
        before: The particles.
        moved: Their image under the audited T.
    """
    if subproblem.linear:
        return _linear_change(subproblem, block, before)
    placed = moved
    if type(scheme).place is not ProximalScheme.place:
        placed = scheme.place(block, before, audit=True)
    anchor = subproblem.anchor
    cost = scheme.cost(subproblem, placed, anchor) - scheme.cost(subproblem, before, anchor)
    if subproblem.implicit is None:
        return _paired(before, cost)
    return energy_change(subproblem.implicit, before, placed, cost)


def energy_change(
    objective: Objective, before: Particles, after: Particles, extra: Tensor | None = None
) -> Change:
    """Return G(after) - G(before) plus the mean of ``extra``, paired by particle.

    Without an objective's contributions the error comes from disjoint groups of particles, which
    are independent.
    """
    extra = before.points.new_zeros(len(before)) if extra is None else extra
    old, new = objective.contributions(before), objective.contributions(after)
    if old is not None and new is not None:
        return _paired(before, new - old + extra)
    energy = objective.energy
    value = energy(after) - energy(before) + before.mean(extra)
    count = min(_GROUPS, len(before))
    if before.weights is not None or count < 2:
        return Change(float(value), 0.0)
    groups = [slice(k, None, count) for k in range(count)]
    changes = torch.stack(
        [energy(after.rows(g)) - energy(before.rows(g)) + extra[g].mean() for g in groups]
    )
    return Change(float(value), float(changes.std() / math.sqrt(count)))


def _linear_change(subproblem: Subproblem, block: FlowBlock, before: Particles) -> Change:
    """Return  DG(rho)[u] + E|u|^2/(2h')  of an explicit step."""
    assert subproblem.implicit is not None
    u, divergence = block.velocity(before.points)
    by_point, by_log_det = energy_derivatives(subproblem.implicit, before)
    slope = (by_point * u).sum(1) + by_log_det * divergence
    weights = 1 / len(before) if before.weights is None else before.weights
    return _paired(before, slope / weights + u.square().sum(1) / (2 * subproblem.step_size))


def _paired(particles: Particles, values: Tensor) -> Change:
    values = values.double()
    if particles.weights is None:
        return Change(float(values.mean()), float(values.std() / math.sqrt(len(values))))
    return Change(float(particles.weights.double() @ values), 0.0)
