"""Schemes: how one step is made, as a proximal subproblem over maps."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar, Literal

from torch import Tensor

from wopt.capabilities import Need
from wopt.component import Component
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.interfaces.step_size import StepSize
from wopt.particles import Particles

__all__ = ["History", "ProximalScheme", "Subproblem", "Transport", "transport_cost"]

Transport = Literal["displacement", "action"]
"""The transport term: E |T(x) - a|^2, or the block's action, its upper bound for flows in time."""


@dataclasses.dataclass(frozen=True)
class History:
    """What a scheme may look back on, for the same particles in the same order.

    Attributes:
        particles: Where they stand.
        previous: Where they stood one step ago, shape ``(n, d)``; ``None`` at the start.
        gradient: The Wasserstein gradient of the objective at them, shape ``(n, d)``, read off
            the step just made; ``None`` at the start.
        step: Index of the step to make (0, 1, ...).
        step_size: h of the step to make.
        previous_step_size: h of the step before; ``None`` at the start.
    """

    particles: Particles
    previous: Tensor | None
    gradient: Tensor | None
    step: int
    step_size: float
    previous_step_size: float | None


@dataclasses.dataclass(frozen=True)
class Subproblem:
    """min over T of  implicit(T_# rho) + E |T(x) - anchor|^2 / (2 step_size).

    Attributes:
        anchor: Shape ``(n, d)``.
        step_size: The effective step h'.
        implicit: The part of the objective that is evaluated at the new particles.
    """

    anchor: Tensor
    step_size: float
    implicit: Objective


class ProximalScheme(Component, abc.ABC):
    """A first-order scheme whose step is one proximal subproblem.

    A subclass says what the subproblem is (:meth:`subproblem`); the loss is this class's.
    """

    kind: ClassVar[str] = "scheme"
    needs: Need = Need.NOTHING
    order: ClassVar[int | None] = None
    """Order of accuracy with respect to the exact gradient flow; ``None`` if it follows another."""
    step_size: StepSize
    transport: Transport = "displacement"

    @abc.abstractmethod
    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the subproblem of the step to make."""

    def place(self, block: FlowBlock, particles: Particles, *, audit: bool = False) -> Particles:
        """Return the particles at which the implicit part is evaluated: those that T moved.

        Args:
            block: T.
            particles: Where they stand before.
            audit: Use the block's finer, independent computation.
        """
        y, log_det = (block.audit if audit else block)(particles.points)
        return particles.moved(y, log_det)

    def loss(
        self, subproblem: Subproblem, block: FlowBlock, particles: Particles, anchor: Tensor
    ) -> Tensor:
        """Return the subproblem's value on (a batch of) particles and their anchors."""
        needs_log_det = (Need.LOG_DET | Need.LOG_DENSITY) & subproblem.implicit.needs
        if self.transport == "action":
            y, log_det, action = block.forward_with_action(particles.points)
            moved = particles.moved(y, log_det)
            cost = moved.mean(action) / (2 * subproblem.step_size)
        elif needs_log_det:
            moved = self.place(block, particles)
            cost = moved.mean(transport_cost(subproblem, moved.points, anchor))
        else:
            moved = particles.moved(block.move(particles.points), None)
            cost = moved.mean(transport_cost(subproblem, moved.points, anchor))
        return subproblem.implicit.energy(moved) + cost


def transport_cost(subproblem: Subproblem, y: Tensor, anchor: Tensor) -> Tensor:
    """Return  |y - a|^2 / (2 h')  of each particle, shape ``(n,)``."""
    return (y - anchor).square().sum(1) / (2 * subproblem.step_size)
