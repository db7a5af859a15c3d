"""Adapter of Pyro models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wopt.errors import ConfigError
from wopt_posterior.targets.given import GivenModel, Layout, interval_of, needed

__all__ = ["from_pyro"]


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
    ends = {
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

    return GivenModel(log_prob, layout.dim, layout.names, layout.spread(ends))
