"""Schemes: how one step is made, as a proximal subproblem over maps."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from wopt.capabilities import Need
from wopt.component import Component
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.derivatives import energy_derivatives
from wopt.interfaces.objective import Objective
from wopt.interfaces.step_size import StepSize
from wopt.particles import Particles

__all__ = ["History", "ProximalScheme", "Subproblem", "Transport"]

Transport = Literal["displacement", "action"]
"""The transport term: E |T(x) - a|^2, or the block's action, its upper bound for flows in time."""


@dataclasses.dataclass(frozen=True)
class History:
    """What a scheme may look back on, for the same particles in the same order.

    Attributes:
        particles: Where they stand.
        previous: Where they stood one step ago, shape ``(n, d)``; ``None`` at the start.
        gradient: The Wasserstein gradient of the objective at them, shape ``(n, d)``, read off
            the step just made; ``None`` where that step does not tell.
        step: Index of the step to make (0, 1, ...).
        step_size: h of the step to make.
        previous_step_size: h of the step before; ``None`` at the start.
        plan: The numbers that :meth:`ProximalScheme.plan` decided on for this step.
        stages: The particles after each stage of this step that is done.
    """

    particles: Particles
    previous: Tensor | None
    gradient: Tensor | None
    step: int
    step_size: float
    previous_step_size: float | None
    plan: Mapping[str, float] = dataclasses.field(default_factory=dict)
    stages: tuple[Particles, ...] = ()


@dataclasses.dataclass(frozen=True)
class Subproblem:
    """min over T of  implicit(T_# rho) + E |T(x) - anchor|^2 / (2 step_size).

    Attributes:
        anchor: Shape ``(n, d)``.
        step_size: The effective step h'.
        implicit: The part of the objective that is evaluated at the new particles; ``None`` leaves
            the regression of T on the anchor.
        linear: Replace the implicit part by its linearisation at rho, DG(rho)[T - id]. The
            minimiser is then an explicit step: T - id = -h' grad_W G(rho).
        start: Where T is applied, if not at the particles before the step (a later stage).
    """

    anchor: Tensor
    step_size: float
    implicit: Objective | None
    linear: bool = False
    start: Particles | None = None


class ProximalScheme(Component, abc.ABC):
    """A first-order scheme whose step is one proximal subproblem, or a few of them.

    A subclass says what the subproblem is (:meth:`subproblem`); the loss is this class's. With
    :attr:`stages` > 1 it is asked once a stage; only the last stage's map joins the flow, so it
    must lead from the particles before the step to those after it.
    """

    kind: ClassVar[str] = "scheme"
    needs: Need = Need.NOTHING
    order: ClassVar[int | None] = None
    """Order of accuracy with respect to the exact gradient flow; ``None`` if it follows another."""
    stages: ClassVar[int] = 1
    looks_back: ClassVar[bool] = True
    """Whether :meth:`subproblem` or :meth:`plan` looks at where particles stood before, or at their
    gradient; a scheme that does not saves the memory."""
    step_size: StepSize
    transport: Transport = "displacement"

    @abc.abstractmethod
    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the subproblem of the step, or stage ``len(history.stages)`` of it, to make."""

    def plan(self, history: History, objective: Objective) -> dict[str, float]:
        """Return numbers to decide on once a step, from the training particles.

        They are handed to :meth:`subproblem`, to the next call of this method (in
        ``history.plan``) and to the checkpoint, so they are a scheme's memory.
        """
        return {}

    def check(self, objective: Objective) -> None:
        """Raise a :class:`~wopt.errors.UserError` if the scheme cannot be used on an objective."""

    def place(self, block: FlowBlock, particles: Particles, *, audit: bool = False) -> Particles:
        """Return the particles at which the implicit part is evaluated: those that T moved.

        Args:
            block: T.
            particles: Where they stand before.
            audit: Use the block's finer, independent computation.
        """
        if Need.LOG_DET not in block.provides:
            return particles.moved(block.move(particles.points), None)
        y, log_det = (block.audit if audit else block)(particles.points)
        return particles.moved(y, log_det)

    def cost(self, subproblem: Subproblem, moved: Particles, anchor: Tensor) -> Tensor:
        """Return each particle's share of the transport term, shape ``(n,)``: |y - a|^2 / (2 h').

        The term is their weighted mean. Override it to measure transport by something else.

        Args:
            subproblem: With the effective step h'.
            moved: The particles y at which the implicit part is evaluated.
            anchor: a at (these of) the particles, shape ``(n, d)``.
        """
        return (moved.points - anchor).square().sum(1) / (2 * subproblem.step_size)

    def gradient(
        self, subproblem: Subproblem, objective: Objective, moved: Particles
    ) -> Tensor | None:
        """Return the objective's Wasserstein gradient at the new particles, if the step tells.

        After an implicit step it is (a - y)/h'.
        """
        if subproblem.linear or subproblem.implicit is not objective:
            return None
        return (subproblem.anchor - moved.points) / subproblem.step_size

    def loss(
        self, subproblem: Subproblem, block: FlowBlock, particles: Particles, anchor: Tensor
    ) -> Tensor:
        """Return the subproblem's value on (a batch of) particles and their anchors."""
        if subproblem.linear:
            return _linear_loss(subproblem, block, particles)
        implicit = subproblem.implicit
        if self.transport == "action":
            y, log_det, action = block.forward_with_action(particles.points)
            moved = particles.moved(y, log_det)
            cost = moved.mean(action) / (2 * subproblem.step_size)
        else:
            if implicit is not None and (Need.LOG_DET | Need.LOG_DENSITY) & implicit.needs:
                moved = self.place(block, particles)
            else:
                moved = self._place_points(block, particles)
            cost = moved.mean(self.cost(subproblem, moved, anchor))
        return cost if implicit is None else implicit.energy(moved) + cost

    def _place_points(self, block: FlowBlock, particles: Particles) -> Particles:
        """Return :meth:`place` without log-det, cheaply where the scheme evaluates at T(x)."""
        if type(self).place is ProximalScheme.place:
            return particles.moved(block.move(particles.points), None)
        return self.place(block, particles)


def _linear_loss(subproblem: Subproblem, block: FlowBlock, particles: Particles) -> Tensor:
    """Return  DG(rho)[u] + E |u|^2 / (2 h')  for the block's displacement u and its divergence."""
    assert subproblem.implicit is not None
    u, divergence = block.velocity(particles.points)
    by_point, by_log_det = energy_derivatives(subproblem.implicit, particles)
    slope = (by_point * u).sum() + (by_log_det * divergence).sum()
    return slope + particles.mean(u.square().sum(1)) / (2 * subproblem.step_size)


@torch.no_grad()
def first_order(
    scheme: ProximalScheme, subproblem: Subproblem, block: FlowBlock, before: Particles
) -> tuple[Particles, Tensor]:
    """Return particles y and anchors a such that  grad_W G'(y) + (y - a)/h'  is the residual."""
    if subproblem.linear:
        u, _ = block.velocity(before.points)
        return before, before.points - u
    return scheme.place(block, before, audit=True), subproblem.anchor
