"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)

_COMPONENTS = (
    ("target", "gaussian", "targets.gaussian:GaussianTarget", "a Gaussian, standard by default"),
    ("target", "mixture", "targets.mixture:MixtureTarget", "a mixture of Gaussians"),
    ("target", "potential", "targets.potential:PotentialTarget", "exp(-V) of any Python V(x)"),
    ("target", "python", "targets.python:PythonTarget", "log p(x) of a Python file (--allow-code)"),
    ("target", "samples", "targets.samples:SamplesTarget", "known by rows of data only"),
    ("source", "array", "sources.array:ArraySource", "rows of a npy, npz, csv or parquet file"),
    ("source", "sklearn", "sources.bundled:SklearnSource", "a data set bundled with scikit-learn"),
    ("source", "patches", "sources.patches:PatchesSource", "grey patches of photographs"),
    ("source", "idx", "sources.idx:IdxSource", "grey pictures of an idx file, such as MNIST's"),
    ("source", "picture", "sources.picture:PictureSource", "a drawing as a 2-D density"),
    ("source", "gaussian", "sources.gaussian:GaussianSource", "a Gaussian start of known density"),
    ("source", "mixture", "sources.mixture:MixtureSource", "samples of a mixture of Gaussians"),
    ("source", "toy", "sources.toy:ToySource", "2-D toys: checkerboard, moons, spirals, ..."),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components."""
    for kind, name, path, summary in _COMPONENTS:
        registry.add(kind, name, f"wopt_measures.{path}", summary=summary)
