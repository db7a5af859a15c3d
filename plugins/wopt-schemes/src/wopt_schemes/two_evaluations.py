"""Explicit schemes that evaluate the gradient twice: extragradient and explicit midpoint."""

from __future__ import annotations

import abc
from typing import ClassVar

from wopt import Capability, History, Objective, Subproblem
from wopt_schemes.base import Limit, LimitedScheme
from wopt_schemes.linearised import Linearised
from wopt_schemes.regression import Regression


class _TwoEvaluations(LimitedScheme, abc.ABC):
    """y = x - r h g(x),  then  T(x) = x - h g(y), in three stages.

    The first finds y, the second the displacement -h g(y) of the particles at y, the third
    regresses T on the old particles moved by it. The displacement is that of a map id + u; for a
    block that is the flow of u for unit time it is known to first order only.
    """

    needs = Capability.VELOCITY
    stages = 3
    look_ahead: ClassVar[float]
    """Length r of the first stage, as a fraction of h."""
    fraction: ClassVar[float]
    """The limit of h as a fraction of the explicit scheme's."""

    def limit(self, objective: Objective) -> Limit | None:
        """Return the scheme's fraction of the largest explicit step, where that is known."""
        largest = objective.largest_explicit_step()
        if largest is None:
            return None
        why = "the objective's largest explicit step"
        return Limit(
            self.fraction * largest, why if self.fraction == 1 else f"{self.fraction:g} times {why}"
        )

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the subproblem of the stage: the look-ahead, the step at it, or the regression."""
        self.refuse_large(history, objective)
        x, h = history.particles.points, history.step_size
        if not history.stages:
            return Linearised.of(history.particles, self.look_ahead * h, objective)
        y = history.stages[0]
        if len(history.stages) == 1:
            return Linearised.of(y, h, objective)
        return Regression(history.particles, x + history.stages[1].points - y.points, h)


class Extragradient(_TwoEvaluations):
    """The extragradient scheme: the gradient is taken where an explicit step would lead.

        y = x - h g(x),    T(x) = x - h g(y).

    It is of order 1. It multiplies a mode, z = h mu, by 1 - z + z^2, so it is stable for z <= 1:
    half the explicit scheme's limit. Use it for stability along rotations, not for accuracy.

    Source: Korpelevich, 1976.

    Example:
        >>> Extragradient(step_size=0.1).stages
        3
    """

    cites = ("korpelevich1976",)
    order = 1
    look_ahead = 1.0
    fraction = 0.5


class ExplicitMidpoint(_TwoEvaluations):
    """The explicit midpoint rule: the gradient is taken where half an explicit step would lead.

        y = x - (h/2) g(x),    T(x) = x - h g(y).

    It is of order 2. It multiplies a mode, z = h mu, by 1 - z + z^2/2, so it is stable for z <= 2,
    like the explicit scheme.

    Source: Runge, 1895; along labels: docs/theory 3.2.

    Example:
        >>> ExplicitMidpoint(step_size=0.1).order
        2
    """

    cites = ("runge1895",)
    order = 2
    look_ahead = 0.5
    fraction = 1.0
