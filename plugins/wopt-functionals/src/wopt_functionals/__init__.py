"""Objectives: entropies, energies, divergences, kernel and sliced distances, and their sums.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

_PLACES = {
    "MMD": "wopt_functionals.samples.mmd",
    "KSD": "wopt_functionals.points.ksd",
    "Chi2": "wopt_functionals.density.chi2",
    "DualFDivergence": "wopt_functionals.samples.dual",
    "EnergyDistance": "wopt_functionals.samples.energy_distance",
    "Entropy": "wopt_functionals.density.entropy",
    "FDivergence": "wopt_functionals.density.f_divergence",
    "FisherInformation": "wopt_functionals.points.fisher",
    "ForwardKL": "wopt_functionals.density.forward_kl",
    "Interaction": "wopt_functionals.points.interaction",
    "Internal": "wopt_functionals.density.internal",
    "Part": "wopt_functionals.sum",
    "Potential": "wopt_functionals.points.potential",
    "RenyiDivergence": "wopt_functionals.density.renyi",
    "RenyiEntropy": "wopt_functionals.density.renyi",
    "SlicedWasserstein": "wopt_functionals.samples.sliced",
    "SumOfParts": "wopt_functionals.sum",
}

if TYPE_CHECKING:
    from wopt_functionals.density.chi2 import Chi2
    from wopt_functionals.density.entropy import Entropy
    from wopt_functionals.density.f_divergence import FDivergence
    from wopt_functionals.density.forward_kl import ForwardKL
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

__getattr__, __dir__ = exports(__name__, _PLACES)
