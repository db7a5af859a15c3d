"""Targets and sources: Gaussians, mixtures, any potential, tables, pictures, patches, toys.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_measures.exact.barenblatt import Barenblatt as Barenblatt
    from wopt_measures.exact.equilibrium import Equilibrium as Equilibrium
    from wopt_measures.exact.ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
    from wopt_measures.exact.second_moment import SecondMoment as SecondMoment
    from wopt_measures.laws.barenblatt import BarenblattLaw as BarenblattLaw
    from wopt_measures.laws.barenblatt import BarenblattTarget as BarenblattTarget
    from wopt_measures.laws.gaussian import GaussianLaw as GaussianLaw
    from wopt_measures.laws.mixture import MixtureLaw as MixtureLaw
    from wopt_measures.laws.pixels import PixelLaw as PixelLaw
    from wopt_measures.rejection import Draw as Draw
    from wopt_measures.rejection import Rejection as Rejection
    from wopt_measures.sliced import sliced_energy_distance as sliced_energy_distance
    from wopt_measures.sources.array import ArraySource as ArraySource
    from wopt_measures.sources.bundled import SklearnSource as SklearnSource
    from wopt_measures.sources.density import DensitySource as DensitySource
    from wopt_measures.sources.gaussian import GaussianSource as GaussianSource
    from wopt_measures.sources.mixture import MixtureSource as MixtureSource
    from wopt_measures.sources.patches import PatchesSource as PatchesSource
    from wopt_measures.sources.picture import PictureSource as PictureSource
    from wopt_measures.sources.rejection import RejectionSource as RejectionSource
    from wopt_measures.sources.toy import ToySource as ToySource
    from wopt_measures.targets.bent import FunnelTarget as FunnelTarget
    from wopt_measures.targets.bent import MustacheTarget as MustacheTarget
    from wopt_measures.targets.density import Density as Density
    from wopt_measures.targets.gaussian import GaussianTarget as GaussianTarget
    from wopt_measures.targets.logistic import LogisticTarget as LogisticTarget
    from wopt_measures.targets.mixture import MixtureTarget as MixtureTarget
    from wopt_measures.targets.modes import CircleTarget as CircleTarget
    from wopt_measures.targets.modes import RandomMixtureTarget as RandomMixtureTarget
    from wopt_measures.targets.posteriordb import PosteriordbTarget as PosteriordbTarget
    from wopt_measures.targets.potential import PotentialTarget as PotentialTarget
    from wopt_measures.targets.python import PythonTarget as PythonTarget
    from wopt_measures.targets.random import RandomGaussian as RandomGaussian
    from wopt_measures.targets.samples import SamplesTarget as SamplesTarget
    from wopt_measures.targets.tempered import TemperedTarget as TemperedTarget
    from wopt_measures.targets.wells import ManyWellsTarget as ManyWellsTarget
    from wopt_measures.weights import effective_size as effective_size
    from wopt_measures.weights import log_mean_weight as log_mean_weight
    from wopt_measures.weights import log_weights as log_weights
    from wopt_measures.weights import log_weights_of as log_weights_of

__getattr__, __dir__ = exports(__name__, __file__)
