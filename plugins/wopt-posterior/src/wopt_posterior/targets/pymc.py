"""Adapter of PyMC models."""

from __future__ import annotations

from typing import Any

import numpy as np

from wopt.errors import ConfigError
from wopt_posterior.targets.given import GivenModel, Layout, by_gradient, needed

__all__ = ["from_pymc"]


def from_pymc(model: Any) -> GivenModel:
    """Return the density of a PyMC model's free variables given its observations.

    PyMC compiles values and gradients of one point; points are evaluated one after another.

    Args:
        model: A ``pymc.Model``.

    Raises:
        ConfigError: PyMC is not installed, or a variable is discrete or constrained jointly with
            others.
    """
    pymc = needed("pymc", "pymc")
    conditioning = needed("pymc.model.transform.conditioning", "pymc")
    ends = {rv.name: _ends(pymc, model, rv) for rv in model.free_RVs}
    plain = conditioning.remove_value_transforms(model)
    initial = plain.initial_point()
    layout = Layout({rv.name: tuple(np.shape(initial[rv.name])) for rv in plain.free_RVs})
    names = [rv.name for rv in plain.free_RVs]
    value = plain.compile_logp(jacobian=False)
    slope = plain.compile_dlogp(vars=plain.free_RVs, jacobian=False)

    def at(points: Any) -> tuple[Any, Any]:
        each = [layout.split(point) for point in points]
        ordered = [{name: p[name] for name in names} for p in each]
        values = np.array([float(value(p)) for p in ordered])
        return values, np.array([slope(p) for p in ordered])

    return GivenModel(by_gradient(at), layout.dim, layout.names, layout.spread(ends))


def _ends(pymc: Any, model: Any, rv: Any) -> Any:
    """Return the support of a variable from the transform that PyMC gave it."""
    transform = model.rvs_to_transforms[rv]
    transforms = pymc.distributions.transforms
    if rv.dtype.startswith("float"):
        if transform is None:
            return None
        kind = type(transform).__name__
        if kind in ("LogTransform", "LogExpM1"):
            return "positive"
        if kind == "LogOddsTransform":
            return [0.0, 1.0]
        if isinstance(transform, transforms.Interval):
            ends = transform.args_fn(*rv.owner.inputs)
            return [None if end is None else float(np.unique(_value(end))[0]) for end in ends]
    raise ConfigError(
        f"variable {rv.name!r} ({rv.dtype}, transform {transform}) is not known to the adapter: "
        "it takes real numbers, free or between ends. Marginalise discrete variables, and write "
        "others as functions of real ones"
    )


def _value(end: Any) -> Any:
    return end.eval() if hasattr(end, "eval") else end
