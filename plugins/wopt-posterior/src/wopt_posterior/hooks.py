"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 1)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the solvers, the measurement, the ways in and the parts of the report."""
    registry.add(
        "solver",
        "gaussian",
        "wopt_posterior.solvers:Gaussian",
        summary="the best affine map, by L-BFGS in float64",
    )
    registry.add(
        "solver",
        "chains",
        "wopt_posterior.solvers:Chains",
        summary="Adam or Muon on mini-batches of draws and of chains of the target",
    )
    registry.add(
        "solver",
        "variance",
        "wopt_posterior.solvers:Variance",
        summary="L-BFGS on the variance of log importance weights",
    )
    registry.add(
        "measurement",
        "sampler",
        "wopt_posterior.measurement:Sampler",
        summary="both sides of log Z, weights, lost modes",
    )
    for name, path in (
        ("sample", "wopt_posterior.sampling:sample"),
        ("Posterior", "wopt_posterior.posterior:Posterior"),
        ("GivenModel", "wopt_posterior.targets.given:GivenModel"),
        ("from_numpyro", "wopt_posterior.targets.languages:from_numpyro"),
        ("from_pymc", "wopt_posterior.targets.languages:from_pymc"),
        ("from_pyro", "wopt_posterior.targets.languages:from_pyro"),
    ):
        registry.add_name(name, path)
    registry.add_function("chains", "wopt_posterior.chains.reference_chains")
    registry.add_function("planner", "wopt_posterior.plan:planned")
    registry.add_function("weights", "wopt_posterior.importance:weight_columns")
    registry.add_function("page", "wopt_posterior.page:sampler_section", rank=-2)
    registry.add_function("advice", "wopt_posterior.page:sampler_advice", rank=1)
    registry.add_function("summary", "wopt_posterior.page:sampler_summary", rank=2)
    registry.add_function("citations", "wopt_posterior.citations:sampler_citations", rank=1)
