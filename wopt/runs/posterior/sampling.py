"""sample: draws of a posterior that is given by its log-density."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from wopt.errors import ConfigError
from wopt.runs.posterior.density import Density
from wopt.runs.posterior.gaussian import fit_gaussian
from wopt.runs.posterior.maps import Fit, affine_fit, autoregressive_fit, seconds_an_iteration
from wopt.runs.posterior.posterior import Posterior
from wopt.runs.posterior.support import support_of
from wopt.seeds import derive, generator
from wopt.targets.given import GivenModel

__all__ = ["sample"]

_FIRST, _MOST = 400, 4000
"""Iterations of the first map, and at most of the second."""


def sample(
    log_prob: Callable[[Tensor], Tensor] | GivenModel,
    dim: int | None = None,
    *,
    n: int = 4000,
    support: Mapping[str | int, Any] | None = None,
    names: Sequence[str] | None = None,
    budget: float = 60.0,
    iterations: int | None = None,
    seed: int = 0,
    progress: Any = None,
) -> Posterior:
    """Sample the law with density proportional to exp(log_prob), and say how far to trust it.

    In free coordinates a Gaussian is fitted in float64 by L-BFGS (:func:`fit_gaussian`). If that
    is not enough, one proximal step of size 100 in its coordinates minimises KL(q | p) over
    ``autoregressive`` maps, by Muon on fresh draws of N(0, I): first a short one, and the rest of
    the budget if that is not enough either. What is left between q and p is told by importance
    weights.

    Args:
        log_prob: Points ``(n, d)`` to the log-density up to a constant, ``(n,)``, by torch,
            differentiable. It is given float64. Or a model of :mod:`wopt.targets`, which brings
            dimension, names and support.
        dim: d.
        n: How many draws.
        support: Constraints: from a coordinate, by index or name, to ``"positive"``,
            ``[low, high]`` (``None`` for no end) or a constraint of torch.distributions. The
            log-dets of the bijections are accounted for: ``log_prob`` is the density of what it
            is given.
        names: Of the coordinates; ``"theta[0]"``, ``"theta[1]"`` are one variable to ArviZ.
        budget: CPU seconds, of training; with it a result depends on the machine's speed.
        iterations: Of the map, in place of the budget: the same result for the same seed.
        seed: Of all draws.
        progress: As in :func:`wopt.solve`.

    Returns:
        The draws, their weights and what is known of them. An interrupt (Ctrl-C, or a notebook's
        stop) while a map is trained leaves the draws of the best map there is, which says so.

    Raises:
        ConfigError: Options cannot be used, or the plugins ``wopt-jko``, ``wopt-blocks`` and
            ``wopt-measures`` are not installed.
        DataError: ``log_prob`` fails, or is not finite and differentiable around the origin of the
            free coordinates.

    Example:
        >>> import torch, wopt
        >>> law = torch.distributions.LogNormal(0.0, 0.5)  # a normal law in free coordinates
        >>> posterior = wopt.sample(
        ...     lambda x: law.log_prob(x[:, 0]), dim=1, support={"0": "positive"})
        >>> posterior.reliable, abs(posterior.log_z) < 1e-6
        (True, True)
        >>> abs(float(posterior.means[0] - law.mean)) < 0.05
        True
    """
    began = time.process_time()
    if isinstance(log_prob, GivenModel):
        dim, names = log_prob.dim, names or log_prob.names
        support = {**log_prob.support, **(support or {})}
        log_prob = log_prob.log_prob
    if dim is None:
        raise ConfigError("sample needs dim, the number of coordinates that log_prob takes")
    known = _names(dim, names)
    density = Density(log_prob, support_of(support, known), known)
    density.check(generator(seed, "check"))
    gaussian = fit_gaussian(density, dim, budget / 3, derive(seed, "gaussian"))
    fits = [affine_fit(density, gaussian, seed)]
    try:
        for planned in _plan(density, fits, budget, iterations, began):
            fits.append(autoregressive_fit(density, fits[0], planned, seed, progress))
    except KeyboardInterrupt:  # what is there is measured, and says itself how far to trust it
        fits = [dataclasses.replace(fit, how=f"{fit.how}, interrupted") for fit in fits]
    best = max(fits, key=lambda fit: fit.elbo)
    return Posterior.of(density, best, n, seed, time.process_time() - began)


def _plan(
    density: Density, fits: list[Fit], budget: float, iterations: int | None, began: float
) -> Any:
    """Yield iterations of maps to be fitted, until one is good enough or the budget is spent."""
    if iterations is not None:
        yield iterations
        return
    if fits[0].enough:
        return
    cost = seconds_an_iteration(density, fits[0])

    def affordable() -> int:
        # A tenth is left for the check of the step and the measurement.
        return int((0.9 * budget - (time.process_time() - began)) / cost)

    first = min(_FIRST, affordable())
    if first < 10:
        return
    yield first
    rest = min(_MOST, affordable())
    if not max(fits, key=lambda fit: fit.elbo).enough and rest > first:
        yield rest


def _names(dim: int, names: Sequence[str] | None) -> tuple[str, ...]:
    if dim < 1:
        raise ConfigError(f"dim is the number of coordinates, at least 1, got {dim}")
    if names is None:
        return tuple(f"x{j}" for j in range(dim))
    if len(names) != dim or len(set(names)) != dim:
        raise ConfigError(f"names are {dim} different ones, one a coordinate, got {list(names)}")
    return tuple(names)
