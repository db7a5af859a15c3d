"""The law that a flow converges to, as a solution at all times."""

from __future__ import annotations

from wopt import Capability, ConfigError, Objective, Source
from wopt.interfaces import ExactLaws, ExactSolution
from wopt_measures.laws.barenblatt import BarenblattTarget


class Equilibrium(ExactSolution):
    """The objective's target, from which the distance of an evolution decreases in time.

    The stationary solution: the reported quantity is the distance of the evolution from its limit,
    as in papers on convergence to a known law. The target must have a normalised density and
    samples. Barenblatt's density is zero off its ball, so no KL to it is measured.

    Example:
        >>> import wopt
        >>> start = wopt.build("source", "gaussian")
        >>> laws = Equilibrium().of(start, wopt.build("objective", "kl"), dim=2)
        >>> type(laws.law(3.0)).__name__
        'GaussianTarget'
    """

    cites = ()

    def of(self, source: Source, objective: Objective, dim: int) -> ExactLaws:
        """Return the target at all times."""
        target = objective.target
        needs = Capability.POTENTIAL | Capability.NORMALISED | Capability.TARGET_SAMPLES
        if target is None or needs & ~target.provides:
            raise ConfigError(
                "[exact] equilibrium needs an objective whose target has a normalised density and "
                "samples, such as kl to a gaussian or a mixture"
            )
        return ExactLaws(lambda _: target, positive=not isinstance(target, BarenblattTarget))
