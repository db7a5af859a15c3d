"""Schemes: how one step is made, as a proximal subproblem over maps, and of which size."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import Component
from wopt.interfaces import returns
from wopt.interfaces.objective import Objective
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles


class StepSize(Component, abc.ABC):
    """A rule for the step sizes h_n > 0, usable by any scheme."""

    kind: ClassVar[str] = "step_size"
    returns = returns.STEP_SIZE

    @abc.abstractmethod
    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return h of step ``step`` (0, 1, ...), given the step size used before it."""

    def after_rejection(self, step_size: float) -> float | None:
        """Return a smaller h to retry a rejected step with, or ``None`` to keep it."""
        return None


StepSizeOption = Annotated[
    StepSize,
    Field(
        description="the step size h: a number, a list with one for each step, or the table "
        "of a rule"
    ),
]
"""The option ``step_size`` of a scheme."""


@dataclasses.dataclass(frozen=True)
class History:
    """The past of the particles that a scheme may use, in one order.

    Attributes:
        particles: The current particles.
        previous: Points one step ago, shape ``(n, d)``; ``None`` at the start.
        gradient: The Wasserstein gradient of the objective at the particles, shape ``(n, d)``,
            known from the step just made; ``None`` if that step does not give it.
        step: Index of the step to make (0, 1, ...).
        step_size: h of the step to make.
        previous_step_size: h of the step before; ``None`` at the start.
        plan: Numbers that :meth:`ProximalScheme.plan` chose for this step.
        stages: The particles after each finished stage of this step.
        start: The particles before the first step.
        log_density: Log-density of the start, ``(n, d)`` to ``(n,)``, nats, where it is known.
    """

    particles: Particles
    previous: Tensor | None
    gradient: Tensor | None
    step: int
    step_size: float
    previous_step_size: float | None
    plan: Mapping[str, float] = dataclasses.field(default_factory=dict)
    stages: tuple[Particles, ...] = ()
    start: Particles | None = None
    log_density: Callable[[Tensor], Tensor] | None = None


class ProximalScheme(Component, abc.ABC):
    """A first-order scheme whose step is one proximal subproblem, or a few of them.

    A subclass returns the subproblem from :meth:`subproblem`, a :class:`Subproblem` or a variant
    of it. With :attr:`stages` > 1 it is called once a stage; only the last stage's map joins the
    flow, so it must lead from the particles before the step to those after it.

    Example:
        >>> class Timid(ProximalScheme):  # jko with half the step
        ...     def __init__(self, step_size: StepSize) -> None:
        ...         self.step_size = step_size
        ...     def subproblem(self, history, objective):
        ...         x = history.particles
        ...         return Subproblem(x, x.points, history.step_size / 2, objective)
        >>> Timid(step_size=0.5).stages
        1
    """

    kind: ClassVar[str] = "scheme"
    returns = returns.SCHEME
    needs: Capability = Capability.NOTHING
    order: ClassVar[int | None] = None
    """Order of accuracy with respect to the exact gradient flow; ``None`` if it follows another."""
    stages: ClassVar[int] = 1
    looks_back: ClassVar[bool] = True
    """Whether :meth:`subproblem` or :meth:`plan` uses earlier positions or the gradient; a scheme
    that does not saves the memory."""
    replaces: ClassVar[bool] = False
    """Whether a step's map replaces the one before, so that the flow has one block: the subproblem
    is then posed at :attr:`History.start`, and training begins from the map before."""
    equal_steps: ClassVar[bool] = False
    """Whether all steps must have the same size, so that none may be shortened to end at a time."""
    by_row: ClassVar[bool] = False
    """Whether the subproblem treats each particle independently of the others, so that the
    particles may be held by several processes."""
    step_size: StepSize

    @abc.abstractmethod
    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the subproblem of the step, or stage ``len(history.stages)`` of it, to make."""

    def plan(self, history: History, objective: Objective) -> dict[str, float]:
        """Return numbers that are chosen once a step, from the training particles.

        They are passed to :meth:`subproblem` and to the next call of this method (in
        ``history.plan``) and are saved in the checkpoint, so they are a scheme's memory.
        """
        return {}

    def check(self, objective: Objective) -> None:
        """Raise a :class:`~wopt.errors.UserError` if the scheme cannot be used on an objective."""
