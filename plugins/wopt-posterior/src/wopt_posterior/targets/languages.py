"""Models written in NumPyro, PyMC and Pyro, as densities with names and constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wopt.errors import ConfigError
from wopt_posterior.targets.given import GivenModel, Layout, by_gradient, interval_of, needed


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> GivenModel:
    """Return the density of a NumPyro model's latent variables given its observations.

    JAX computes compiled values and gradients in its configured precision; call
    ``jax.config.update("jax_enable_x64", True)`` beforehand for float64.

    Args:
        model: The model.
        args, kwargs: Arguments of the model.

    Raises:
        ConfigError: NumPyro is not installed, there is no latent variable, or one is discrete or
            constrained jointly with others.
    """
    jax = needed("jax", "numpyro")
    handlers = needed("numpyro.handlers", "numpyro")
    log_density = needed("numpyro.infer.util", "numpyro").log_density
    seeded = handlers.seed(model, jax.random.PRNGKey(0))
    sites = {
        name: site
        for name, site in handlers.trace(seeded).get_trace(*args, **kwargs).items()
        if site["type"] == "sample" and not site["is_observed"]
    }
    if not sites:
        raise ConfigError("the model has no latent variable: every numpyro.sample is observed")
    layout = Layout({name: tuple(np.shape(site["value"])) for name, site in sites.items()})
    bounds = {k: interval_of(k, site["fn"].support, ("real",)) for k, site in sites.items()}

    def of_point(point: Any) -> Any:
        return log_density(model, args, kwargs, layout.split(point))[0]

    compiled = jax.jit(jax.vmap(jax.value_and_grad(of_point)))
    return GivenModel(by_gradient(compiled), layout.dim, layout.names, layout.spread(bounds))


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
    bounds = {rv.name: _bounds(pymc, model, rv) for rv in model.free_RVs}
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

    return GivenModel(by_gradient(at), layout.dim, layout.names, layout.spread(bounds))


def _bounds(pymc: Any, model: Any, rv: Any) -> Any:
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
            bounds = transform.args_fn(*rv.owner.inputs)
            return [None if end is None else float(np.unique(_value(end))[0]) for end in bounds]
    raise ConfigError(
        f"variable {rv.name!r} ({rv.dtype}, transform {transform}) is not known to the adapter: "
        "it takes real numbers, free or between ends. Marginalise discrete variables, and write "
        "others as functions of real ones"
    )


def _value(end: Any) -> Any:
    return end.eval() if hasattr(end, "eval") else end


def from_pyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> GivenModel:
    """Return the density of a Pyro model's latent variables given its observations.

    The structure must not depend on the values. Points are evaluated together by ``torch.vmap``, or
    one by one if the model does not allow it, which is slow.

    Args:
        model: The model.
        args, kwargs: Arguments of the model.

    Raises:
        ConfigError: Pyro is not installed, there is no latent variable, or one is discrete or
            constrained jointly with others.
    """
    pyro, poutine = needed("pyro", "pyro-ppl"), needed("pyro.poutine", "pyro-ppl")
    first = poutine.trace(model).get_trace(*args, **kwargs)
    sites = {
        name: site
        for name, site in first.nodes.items()
        if site["type"] == "sample" and not site["is_observed"]
        if type(site["fn"]).__name__ != "_Subsample"
    }
    if not sites:
        raise ConfigError("the model has no latent variable: every pyro.sample is observed")
    layout = Layout({name: tuple(site["value"].shape) for name, site in sites.items()})
    bounds = {
        name: interval_of(name, site["fn"].support, ("real", "realvector"))
        for name, site in sites.items()
    }

    def of_point(point: Tensor) -> Tensor:
        """Return log p, shape ``()``, nats, at a point ``(d,)``."""
        conditioned = poutine.condition(model, data=layout.split(point))
        log_prob: Tensor = poutine.trace(conditioned).get_trace(*args, **kwargs).log_prob_sum()
        return log_prob

    together: Callable[[Tensor], Tensor] = torch.vmap(of_point)
    try:
        with pyro.validation_enabled(False):
            initial = torch.cat([s["value"].detach().reshape(-1) for s in sites.values()])
            together(initial.double().expand(2, -1))
    except RuntimeError:

        def together(x: Tensor) -> Tensor:
            """Return log p, shape ``(n,)``, nats, at points ``(n, d)``, one by one."""
            return torch.stack([of_point(point) for point in x])

    def log_prob(x: Tensor) -> Tensor:
        """Return log p, shape ``(n,)``, nats, at points ``(n, d)``."""
        with pyro.validation_enabled(False):
            return together(x)

    return GivenModel(log_prob, layout.dim, layout.names, layout.spread(bounds))
