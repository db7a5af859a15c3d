"""Posteriors by flows: sampling, solvers for samplers, diagnostics, models of other languages."""

from __future__ import annotations

from wopt.lazy import exports

_get, __dir__ = exports(
    __name__,
    {
        "Posterior": "wopt_posterior.posterior",
        "SamplerReport": "wopt_posterior.diagnostics",
        "from_numpyro": "wopt_posterior.targets.languages",
        "from_pymc": "wopt_posterior.targets.languages",
        "from_pyro": "wopt_posterior.targets.languages",
        "measure_flow": "wopt_posterior.diagnostics",
        "measure_sampler": "wopt_posterior.diagnostics",
        "sample": "wopt_posterior.sampling",
    },
)
__getattr__ = _get
