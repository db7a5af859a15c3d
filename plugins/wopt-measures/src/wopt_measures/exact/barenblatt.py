"""Barenblatt's solution of the porous medium equation, also in a potential."""

from __future__ import annotations

import math

from wopt import ConfigError, Objective, Source
from wopt.interfaces import ExactLaws, ExactSolution
from wopt_measures.exact.forces import forces_of, start_of
from wopt_measures.laws.barenblatt import BarenblattLaw


class Barenblatt(ExactSolution):
    """Barenblatt's law, dilated: the flow of w int rho^m/(m-1) with a quadratic pull k |x|^2/2.

    The pull is a ``potential`` or a quadratic ``interaction`` (aggregation-diffusion), or none: the
    porous medium equation. The law at time t is that of s(t) X with p = d (m - 1) + 2,

        ds/dt = K s^(1-p) - k s,    K = 2 w c m/(m - 1),    s^p = K/k + (1 - K/k) exp(-p k t),

    or s^p = 1 + p K t for k = 0.

    Source: Barenblatt, 1952; Vazquez, *The Porous Medium Equation*, 2007; docs/theory 5.3.

    Example:
        >>> import wopt
        >>> start = wopt.build("source", "density")
        >>> laws = Barenblatt().of(start, wopt.build("objective", "internal"), dim=2)
        >>> laws.law(1.0).radius > 1.5
        True
    """

    cites = ("vazquez2007",)

    def of(self, source: Source, objective: Objective, dim: int) -> ExactLaws:
        """Return the laws at all times."""
        who = "barenblatt"
        law: BarenblattLaw = start_of(source, who, (BarenblattLaw,), "Barenblatt's law")
        forces = forces_of(objective, dim, who)
        if forces.internal is None or forces.entropy or forces.logarithm:
            raise ConfigError(f"[exact] {who} is for the objective internal, with a quadratic pull")
        weight, m = forces.internal
        if m != law.m:
            raise ConfigError(
                f"[exact] {who}: the start is Barenblatt's law for m = {law.m:g} and the objective "
                f"has m = {m:g}; make them agree"
            )
        pull = forces.pull(who) + forces.attraction  # the mean is at 0 and stays there
        power, speed = dim * (m - 1) + 2, 2 * weight * law.coefficient * m / (m - 1)

        def dilation(t: float) -> float:
            if pull == 0:
                raised = 1 + power * speed * t
            else:
                rest = speed / pull
                raised = rest + (1 - rest) * math.exp(-power * pull * t)
            return float(raised ** (1 / power))

        return ExactLaws(
            lambda t: BarenblattLaw(m, dim, law.radius * dilation(t)),
            lambda x, t: dilation(t) * x,
            lambda t: dilation(t) ** 2 * law.second_moment,
            positive=False,
        )
