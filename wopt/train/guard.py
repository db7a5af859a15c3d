"""The guard: a finished step is accepted only if it holds on held-out particles."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt.capabilities import Need
from wopt.component import Component
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import ProximalScheme, Subproblem, transport_cost
from wopt.particles import Particles
from wopt.train.push import in_batches, push

__all__ = ["Guard", "Verdict", "nll"]

_GROUPS = 20


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the guard measured of a step, and what it says of it.

    Attributes:
        moved: The held-out particles, moved by the audited map.
        energy: The objective there.
        decrease: Change of the subproblem's value against staying put.
        decrease_error: Its standard error.
        likelihood_error: Mean absolute difference of the log-likelihoods, grid against audit.
        inversion_error: Root mean square of T^-1(T(x)) - x.
        lacks_decrease: Why the step is no sufficient decrease, or ``None``.
        lacks_accuracy: Why the likelihood is not accurate enough, or ``None``.
    """

    moved: Particles
    energy: float
    decrease: float
    decrease_error: float
    likelihood_error: float | None
    inversion_error: float | None
    lacks_decrease: str | None
    lacks_accuracy: str | None

    @property
    def accepted(self) -> bool:
        """Whether the step may stand."""
        return self.lacks_decrease is None and self.lacks_accuracy is None


class Guard(Component):
    """Accepts a step by sufficient decrease and by the accuracy of its likelihood.

    The step must satisfy, on held-out particles and with the block's audited map,

        F(T) - F(id) <= k s,    F(T) = G'(T_# rho) + E|T(x) - a|^2/(2h'),

    with s the standard error of the difference; for jko F(T) - F(id) is the energy change plus
    E|y-x|^2/(2h), which an exact step never makes positive. And the log-likelihoods by the
    training grid and by the audit must agree. A step that is only inaccurate gets a finer grid; one
    that fails otherwise is trained again, with a finer grid and half the learning rate.

    Source: theory.md 4.1 and DESIGN 7.

    Example:
        >>> Guard(retries=1).retries
        1
    """

    def __init__(
        self,
        likelihood_tolerance: Annotated[
            float, Field(gt=0, description="largest mean likelihood error of a block, nats")
        ] = 0.02,
        standard_errors: Annotated[
            float, Field(ge=0, description="k: how many standard errors noise may account for")
        ] = 2.0,
        retries: Annotated[
            int, Field(ge=0, description="how often a step is trained again before giving up")
        ] = 2,
        refinements: Annotated[
            int, Field(ge=0, description="how often a block's grid is made finer")
        ] = 4,
    ) -> None:
        self.likelihood_tolerance = likelihood_tolerance
        self.standard_errors = standard_errors
        self.retries = retries
        self.refinements = refinements

    @torch.no_grad()
    def judge(
        self,
        scheme: ProximalScheme,
        subproblem: Subproblem,
        objective: Objective,
        block: FlowBlock,
        before: Particles,
    ) -> Verdict:
        """Measure a finished step on held-out particles ``before`` it."""
        moved = push(block, before, audit=True)
        placed = (
            moved
            if type(scheme).place is ProximalScheme.place
            else scheme.place(block, before, audit=True)
        )
        decrease, error = _decrease(subproblem, before, placed)
        inexact = _likelihood_error(objective, block, before, moved)
        limit = self.standard_errors * error + 1e-9 * max(1.0, abs(decrease))
        return Verdict(
            moved=moved,
            energy=float(objective.energy(moved)),
            decrease=decrease,
            decrease_error=error,
            likelihood_error=inexact,
            inversion_error=inversion_error(block, before.points),
            lacks_decrease=None
            if decrease <= limit
            else (
                f"the held-out subproblem rose by {decrease:.4g} (standard error {error:.2g}) "
                "instead of falling"
            ),
            lacks_accuracy=None
            if inexact is None or inexact <= self.likelihood_tolerance
            else (
                f"the likelihood by the training grid is off by {inexact:.3g} nats "
                f"(tolerance {self.likelihood_tolerance:g})"
            ),
        )


def _decrease(subproblem: Subproblem, before: Particles, placed: Particles) -> tuple[float, float]:
    """Return F(T) - F(id) and its standard error."""
    cost = transport_cost(subproblem, placed.points, subproblem.anchor) - transport_cost(
        subproblem, before.points, subproblem.anchor
    )
    old, new = (subproblem.implicit.contributions(p) for p in (before, placed))
    if old is not None and new is not None:
        change = (new - old + cost).double()
        mean = before.mean(change) if before.weights is None else change @ before.weights.double()
        if before.weights is None:
            error = change.std() / math.sqrt(len(change))
        else:
            error = (before.weights.double() * (change - mean)).square().sum().sqrt()
        return float(mean), float(error)
    energy = subproblem.implicit.energy
    mean = energy(placed) - energy(before) + before.mean(cost)
    # Disjoint groups of particles are independent, so their spread gives the mean's error.
    changes = torch.stack(
        [
            energy(placed.rows(g)) - energy(before.rows(g)) + cost[g].mean()
            for g in (slice(k, None, _GROUPS) for k in range(_GROUPS))
        ]
    )
    return float(mean), float(changes.std() / math.sqrt(_GROUPS))


def nll(objective: Objective, particles: Particles) -> Tensor | None:
    """Return V(y) - log |det DT| of each particle, up to log Z; ``None`` where it is not known."""
    target = objective.target
    if particles.log_det is None or target is None or Need.POTENTIAL not in target.provides:
        return None
    return target.potential(particles.points) - particles.log_det


def _likelihood_error(
    objective: Objective, block: FlowBlock, before: Particles, audited: Particles
) -> float | None:
    coarse = push(block, before)
    if coarse.log_det is None or audited.log_det is None:
        return None
    with_target = nll(objective, coarse), nll(objective, audited)
    if with_target[0] is None or with_target[1] is None:
        return float((coarse.log_det - audited.log_det).abs().mean())
    return float((with_target[0] - with_target[1]).abs().mean())


def inversion_error(block: FlowBlock, x: Tensor) -> float | None:
    """Return the root mean square of T^-1(T(x)) - x, or ``None`` if there is no inverse."""
    if Need.INVERSE not in block.provides:
        return None
    back = in_batches(lambda rows: block.inverse(block.move(rows))[0], x)
    return float((back - x).square().sum(1).mean().sqrt())
