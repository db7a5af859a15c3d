"""Targets and sources: Gaussians, mixtures, any potential, tables, pictures, patches, toys.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_measures.exact.barenblatt import Barenblatt
    from wopt_measures.exact.equilibrium import Equilibrium
    from wopt_measures.exact.ornstein_uhlenbeck import OrnsteinUhlenbeck
    from wopt_measures.exact.second_moment import SecondMoment
    from wopt_measures.laws.barenblatt import BarenblattLaw, BarenblattTarget
    from wopt_measures.laws.gaussian import GaussianLaw
    from wopt_measures.laws.mixture import MixtureLaw
    from wopt_measures.laws.pixels import PixelLaw
    from wopt_measures.rejection import Draw, Rejection
    from wopt_measures.sliced import sliced_energy_distance
    from wopt_measures.sources.array import ArraySource
    from wopt_measures.sources.bundled import SklearnSource
    from wopt_measures.sources.density import DensitySource
    from wopt_measures.sources.gaussian import GaussianSource
    from wopt_measures.sources.mixture import MixtureSource
    from wopt_measures.sources.patches import PatchesSource
    from wopt_measures.sources.picture import PictureSource
    from wopt_measures.sources.rejection import RejectionSource
    from wopt_measures.sources.toy import ToySource
    from wopt_measures.targets.bent import FunnelTarget, MustacheTarget
    from wopt_measures.targets.density import Density
    from wopt_measures.targets.gaussian import GaussianTarget
    from wopt_measures.targets.logistic import LogisticTarget
    from wopt_measures.targets.mixture import MixtureTarget
    from wopt_measures.targets.modes import CircleTarget, RandomMixtureTarget
    from wopt_measures.targets.posteriordb import PosteriordbTarget
    from wopt_measures.targets.potential import PotentialTarget
    from wopt_measures.targets.python import PythonTarget
    from wopt_measures.targets.random import RandomGaussian
    from wopt_measures.targets.samples import SamplesTarget
    from wopt_measures.targets.tempered import TemperedTarget
    from wopt_measures.targets.wells import ManyWellsTarget
    from wopt_measures.weights import (
        effective_size,
        log_mean_weight,
        log_weights,
        log_weights_of,
    )

__all__ = [
    "ArraySource",
    "Barenblatt",
    "BarenblattLaw",
    "BarenblattTarget",
    "CircleTarget",
    "Density",
    "DensitySource",
    "Draw",
    "Equilibrium",
    "FunnelTarget",
    "GaussianLaw",
    "GaussianSource",
    "GaussianTarget",
    "LogisticTarget",
    "ManyWellsTarget",
    "MixtureLaw",
    "MixtureSource",
    "MixtureTarget",
    "MustacheTarget",
    "OrnsteinUhlenbeck",
    "PatchesSource",
    "PictureSource",
    "PixelLaw",
    "PosteriordbTarget",
    "PotentialTarget",
    "PythonTarget",
    "RandomGaussian",
    "RandomMixtureTarget",
    "Rejection",
    "RejectionSource",
    "SamplesTarget",
    "SecondMoment",
    "SklearnSource",
    "TemperedTarget",
    "ToySource",
    "effective_size",
    "log_mean_weight",
    "log_weights",
    "log_weights_of",
    "sliced_energy_distance",
]

__getattr__, __dir__ = exports(__name__, __file__)
