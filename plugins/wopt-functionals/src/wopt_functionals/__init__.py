"""Objectives: entropies, energies, divergences, kernel and sliced distances, and their sums.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_functionals.density.entropy import Entropy as Entropy
    from wopt_functionals.density.f_divergence import Chi2 as Chi2
    from wopt_functionals.density.f_divergence import FDivergence as FDivergence
    from wopt_functionals.density.f_divergence import ForwardKL as ForwardKL
    from wopt_functionals.density.internal import Internal as Internal
    from wopt_functionals.density.renyi import RenyiDivergence as RenyiDivergence
    from wopt_functionals.density.renyi import RenyiEntropy as RenyiEntropy
    from wopt_functionals.points.fisher import FisherInformation as FisherInformation
    from wopt_functionals.points.interaction import Interaction as Interaction
    from wopt_functionals.points.ksd import KSD as KSD
    from wopt_functionals.points.potential import Potential as Potential
    from wopt_functionals.samples.dual import DualFDivergence as DualFDivergence
    from wopt_functionals.samples.energy_distance import EnergyDistance as EnergyDistance
    from wopt_functionals.samples.mmd import MMD as MMD
    from wopt_functionals.samples.sliced import SlicedWasserstein as SlicedWasserstein
    from wopt_functionals.sum import Part as Part
    from wopt_functionals.sum import SumOfParts as SumOfParts

__getattr__, __dir__ = exports(__name__, __file__)
