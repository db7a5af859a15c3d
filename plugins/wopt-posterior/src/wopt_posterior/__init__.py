"""Posteriors by flows: sampling, solvers for samplers, diagnostics, models of other languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_posterior.calibration import Calibration as Calibration
    from wopt_posterior.calibration import calibrate as calibrate
    from wopt_posterior.diagnostics import SamplerReport as SamplerReport
    from wopt_posterior.diagnostics import measure_flow as measure_flow
    from wopt_posterior.diagnostics import measure_sampler as measure_sampler
    from wopt_posterior.posterior import Posterior as Posterior
    from wopt_posterior.sampling import sample as sample
    from wopt_posterior.targets.languages import from_numpyro as from_numpyro
    from wopt_posterior.targets.languages import from_pymc as from_pymc
    from wopt_posterior.targets.languages import from_pyro as from_pyro

__getattr__, __dir__ = exports(__name__, __file__)
