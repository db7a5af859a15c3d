"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)

_COMPONENTS = (
    ("exact", "barenblatt", "exact.barenblatt:Barenblatt", "porous medium, also with a pull"),
    ("exact", "equilibrium", "exact.equilibrium:Equilibrium", "the target, at all times"),
    (
        "exact",
        "ornstein_uhlenbeck",
        "exact.ornstein_uhlenbeck:OrnsteinUhlenbeck",
        "Gaussians and mixtures in a quadratic potential",
    ),
    (
        "exact",
        "second_moment",
        "exact.second_moment:SecondMoment",
        "the moment alone: Keller-Segel, aggregation-diffusion",
    ),
    ("target", "barenblatt", "laws.barenblatt:BarenblattTarget", "the porous medium's profile"),
    ("target", "gaussian", "targets.gaussian:GaussianTarget", "a Gaussian, standard by default"),
    ("target", "mixture", "targets.mixture:MixtureTarget", "a mixture of Gaussians"),
    ("target", "circle", "targets.modes:CircleTarget", "equal Gaussians on a circle: 8 modes"),
    ("target", "random_mixture", "targets.modes:RandomMixtureTarget", "Gaussians at random places"),
    ("target", "mustache", "targets.bent:MustacheTarget", "a bent Gaussian with two thin tails"),
    ("target", "funnel", "targets.bent:FunnelTarget", "Neal's funnel"),
    ("target", "many_wells", "targets.wells:ManyWellsTarget", "d/2 double wells, 2^(d/2) modes"),
    ("target", "logistic", "targets.logistic:LogisticTarget", "Bayesian logistic regression"),
    ("target", "posteriordb", "targets.posteriordb:PosteriordbTarget", "of posteriordb's files"),
    ("target", "tempered", "targets.tempered:TemperedTarget", "between a Gaussian and a target"),
    ("target", "random_gaussian", "targets.random:RandomGaussian", "a Gaussian drawn at random"),
    ("target", "potential", "targets.potential:PotentialTarget", "exp(-V) of any Python V(x)"),
    ("target", "python", "targets.python:PythonTarget", "log p(x) of a Python file (--allow-code)"),
    ("target", "samples", "targets.samples:SamplesTarget", "known by rows of data only"),
    ("source", "array", "sources.array:ArraySource", "rows of a npy, npz, csv or parquet file"),
    ("source", "sklearn", "sources.bundled:SklearnSource", "a data set bundled with scikit-learn"),
    ("source", "patches", "sources.patches:PatchesSource", "grey patches of photographs"),
    ("source", "idx", "sources.idx:IdxSource", "grey pictures of an idx file, such as MNIST's"),
    ("source", "picture", "sources.picture:PictureSource", "a drawing as a 2-D density"),
    ("source", "density", "sources.density:DensitySource", "a start by formula: draws or nodes"),
    ("source", "gaussian", "sources.gaussian:GaussianSource", "a Gaussian start of known density"),
    ("source", "mixture", "sources.mixture:MixtureSource", "samples of a mixture of Gaussians"),
    ("source", "rejection", "sources.rejection:RejectionSource", "a sampler's model, corrected"),
    ("source", "toy", "sources.toy:ToySource", "2-D toys: checkerboard, moons, spirals, ..."),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components and the command."""
    for kind, name, path, summary in _COMPONENTS:
        registry.add(kind, name, f"wopt_measures.{path}", summary=summary)
    registry.add_command(
        "data", "wopt_measures.command:data_command", summary="copy a data set of the examples"
    )
