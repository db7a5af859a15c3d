"""The exact second moment of aggregation-diffusion: Keller-Segel's virial law."""

from __future__ import annotations

import math

from wopt import ConfigError, Objective, Source
from wopt.interfaces import ExactLaws, ExactSolution
from wopt_measures.exact.forces import forces_of, start_of
from wopt_measures.laws.barenblatt import BarenblattLaw
from wopt_measures.laws.gaussian import GaussianLaw


class SecondMoment(ExactSolution):
    """The law of M(t) = E |X|^2 under entropy, a logarithmic and quadratic interactions.

    For G = s int rho log rho - a E log |x - x'|/2 + E k |x|^2/2 + E q |x - x'|^2/4 from a centred
    start the equation is closed:

        dM/dt = 2 d s + a - 2 (k + q) M.

    In the plane with attraction a = -chi/(2 pi) and s = 1 it is the model of Keller and Segel of
    mass one: dM/dt = 4 (1 - chi/(8 pi)), so that chi < 8 pi spreads and chi > 8 pi collapses.

    Source: Blanchet, Dolbeault, Perthame, 2006; docs/theory 5.6, with proof.

    Example:
        >>> import wopt
        >>> start = wopt.build("source", "gaussian")
        >>> laws = SecondMoment().of(start, wopt.build("objective", "entropy"), dim=2)
        >>> laws.second_moment(0.5)  # heat: 2 + 4 t
        4.0
    """

    cites = ("blanchet2006",)

    def of(self, source: Source, objective: Objective, dim: int) -> ExactLaws:
        """Return the second moment at all times."""
        who = "second_moment"
        kinds = (GaussianLaw, BarenblattLaw)
        law = start_of(source, who, kinds, "a centred Gaussian or Barenblatt's law")
        forces = forces_of(objective, dim, who)
        if forces.internal is not None:
            raise ConfigError(
                f"[exact] {who}: the moment's law is not closed for objective internal"
            )
        rate = 2 * dim * forces.entropy + forces.logarithm
        decay = 2 * (forces.pull(who) + forces.attraction)
        start = _second_moment(law, dim, who)

        def moment(t: float) -> float:
            if decay == 0:
                return start + rate * t
            return rate / decay + (start - rate / decay) * math.exp(-decay * t)

        return ExactLaws(second_moment=moment)


def _second_moment(law: GaussianLaw | BarenblattLaw, dim: int, who: str) -> float:
    if isinstance(law, BarenblattLaw):
        return law.second_moment
    if float(law.mean.abs().max()) > 0:
        raise ConfigError(f"[exact] {who} needs a centred start: source.mean = 0")
    return float(law.covariance(dim).trace())
