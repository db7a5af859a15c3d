"""The proximal subproblem of a step: its particles, its cost, and its optimality condition."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock, audit_of
from wopt.interfaces.objective import Objective, energy_change
from wopt.particles import Particles
from wopt.renamed import both_names
from wopt.statistics import Mean


@dataclasses.dataclass(frozen=True)
class Stationarity:
    """The first-order condition of a step:  xi = grad_W G(rho) + (y - a)/h' = 0  at particles y.

    Attributes:
        objective: The implicit part of the objective, G.
        particles: Particles y, which represent rho.
        anchor: Anchors a, shape ``(n, d)``.
        step_size: Effective step size h'.
    """

    objective: Objective
    particles: Particles
    anchor: Tensor
    step_size: float

    @property
    def displacement(self) -> Tensor:
        """Displacement y - a of the proximal step, shape ``(n, d)``."""
        return self.particles.points - self.anchor

    @property
    def speed(self) -> float:
        """The root mean square of (y - a)/h'."""
        squares = self.displacement.square().sum(1)
        return float(self.particles.mean(squares).sqrt() / self.step_size)

    def rows(self, index: Tensor | slice) -> Self:
        """Return the condition at the particles of an index, shape ``(m,)``."""
        return dataclasses.replace(
            self, particles=self.particles.rows(index), anchor=self.anchor[index]
        )


@dataclasses.dataclass(frozen=True)
class Subproblem:
    """min over T of  F(T) = G'(T_# rho) + E |T(x) - a(x)|^2 / (2 h').

    A scheme chooses the particles, the anchors, the effective step size and the implicit part.
    Other forms are subclasses that override the methods that differ: where G' is evaluated
    (:meth:`at`), the transport term (:meth:`cost`), or the whole :meth:`loss` with :meth:`change`
    and :meth:`stationarity`.

    Attributes:
        particles: Particles of rho, to which T is applied.
        anchor: Anchors a of the particles, shape ``(n, d)``.
        step_size: Effective step size h'.
        implicit: G', the part of the objective that is evaluated at the new particles.

    Example:
        >>> import wopt
        >>> from wopt.testing import AffineBlock
        >>> x = Particles.start(torch.ones(4, 1))
        >>> sub = Subproblem(x, 3 * x.points, 0.5, wopt.build("objective", "entropy"))
        >>> float(sub.loss(AffineBlock(1)).detach())  # T is new, the identity: |1 - 3|^2
        4.0
    """

    particles: Particles
    anchor: Tensor
    step_size: float
    implicit: Objective

    explicit: ClassVar[bool] = False
    """Whether nothing is implicit: then the guard also requires that the energy falls."""
    proximal: ClassVar[bool] = True
    """Whether T(x) itself solves the first-order condition, as certificates require."""

    joint: ClassVar[bool] = True
    """Whether F is G' at the new particles plus the mean of :meth:`cost`, so that the subproblems
    of several steps add up to one problem of all their maps."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        both_names(cls, {"stays": "baseline"})

    @property
    def baseline(self) -> Particles:
        """The particles if the step is not made, with which F is compared."""
        return self.particles

    @property
    def stays(self) -> Particles:
        """:attr:`baseline`, by its old name."""
        warnings.warn("Subproblem.stays is now baseline", DeprecationWarning, stacklevel=2)
        return self.baseline

    def rows(self, index: Tensor | slice) -> Self:
        """Return the subproblem at the particles of an index, shape ``(m,)``."""
        at = self.particles
        some = at.rows(index)
        still = self.anchor is at.points  # as for jko: avoids a second look-up
        anchor = some.points if still else at.pick(self.anchor, index)
        return dataclasses.replace(self, particles=some, anchor=anchor)

    def drawn(self, key: int) -> Self:
        """Return the subproblem with G' at the draw of a key, see :meth:`Objective.at`."""
        implicit = self.implicit.at(key)
        same = implicit is self.implicit
        return self if same else dataclasses.replace(self, implicit=implicit)

    def at(self, block: FlowBlock, *, audit: bool = False) -> Particles:
        """Return the particles at which G' is evaluated: those moved by T.

        Args:
            block: The map T.
            audit: Use the block's finer, independent computation, with its log-det.
        """
        inputs = self.particles.inputs
        if Capability.LOG_DET in block.provides and (audit or self.implicit.of_density):
            return self.particles.moved(*(audit_of(block) if audit else block)(*inputs))
        return self.particles.moved(block.move(*inputs), None)

    def cost(self, moved: Particles) -> Tensor:
        """Return each particle's transport cost |y - a|^2 / (2 h'), shape ``(n,)``.

        The transport term is their weighted mean.

        Args:
            moved: The particles y at which G' is evaluated.
        """
        return (moved.points - self.anchor).square().sum(1) / (2 * self.step_size)

    def loss(self, block: FlowBlock) -> Tensor:
        """Return F(T), shape ``()``, differentiable in the block's parameters."""
        moved = self.at(block)
        cost = moved.mean(self.cost(moved))  # first, as the order fixes that of gradient sums
        return self.implicit.energy(moved) + cost

    def change(self, block: FlowBlock, moved: Particles) -> Mean:
        """Return F(T) - F(no step) with its standard error.

        Args:
            block: The map T.
            moved: The particles' image under the audited T.
        """
        cost = self.cost(moved) - self.cost(self.baseline)
        return energy_change(self.implicit, self.baseline, moved, cost)

    @torch.no_grad()
    def stationarity(self, block: FlowBlock) -> Stationarity | None:
        """Return the first-order condition that T should meet; ``None`` if nothing is implicit."""
        return Stationarity(self.implicit, self.at(block, audit=True), self.anchor, self.step_size)

    def gradient(self, objective: Objective, moved: Particles) -> Tensor | None:
        """Return the Wasserstein gradient at the new particles, shape ``(n, d)``, if known.

        After a step whose objective is all implicit it is (a - y)/h'.
        """
        if self.implicit is not objective:
            return None
        return (self.anchor - moved.points) / self.step_size
