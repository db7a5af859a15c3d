"""Objectives: entropies, energies, divergences, kernel and sliced distances, and their sums.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_functionals.density.entropy import Entropy
    from wopt_functionals.density.f_divergence import Chi2, FDivergence, ForwardKL
    from wopt_functionals.density.internal import Internal
    from wopt_functionals.density.renyi import RenyiDivergence, RenyiEntropy
    from wopt_functionals.points.fisher import FisherInformation
    from wopt_functionals.points.interaction import Interaction
    from wopt_functionals.points.ksd import KSD
    from wopt_functionals.points.potential import Potential
    from wopt_functionals.samples.dual import DualFDivergence
    from wopt_functionals.samples.energy_distance import EnergyDistance
    from wopt_functionals.samples.mmd import MMD
    from wopt_functionals.samples.sliced import SlicedWasserstein
    from wopt_functionals.sum import Part, SumOfParts

__all__ = [
    "KSD",
    "MMD",
    "Chi2",
    "DualFDivergence",
    "EnergyDistance",
    "Entropy",
    "FDivergence",
    "FisherInformation",
    "ForwardKL",
    "Interaction",
    "Internal",
    "Part",
    "Potential",
    "RenyiDivergence",
    "RenyiEntropy",
    "SlicedWasserstein",
    "SumOfParts",
]

__getattr__, __dir__ = exports(__name__, __file__)
