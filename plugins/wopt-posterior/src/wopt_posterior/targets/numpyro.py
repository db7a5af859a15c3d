"""Adapter of NumPyro models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wopt.errors import ConfigError
from wopt_posterior.targets.given import GivenModel, Layout, by_gradient, interval_of, needed

__all__ = ["from_numpyro"]


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
    ends = {name: interval_of(name, site["fn"].support, ("real",)) for name, site in sites.items()}

    def of_point(point: Any) -> Any:
        return log_density(model, args, kwargs, layout.split(point))[0]

    compiled = jax.jit(jax.vmap(jax.value_and_grad(of_point)))
    return GivenModel(by_gradient(compiled), layout.dim, layout.names, layout.spread(ends))
