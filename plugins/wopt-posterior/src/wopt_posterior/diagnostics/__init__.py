"""Samplers: what their own draws, and exact ones of the target, say of a model's errors."""

from wopt_posterior.diagnostics.measure import measure_flow, measure_sampler
from wopt_posterior.diagnostics.report import BLIND, LostMode, ModeWeight, SamplerReport

__all__ = [
    "BLIND",
    "LostMode",
    "ModeWeight",
    "SamplerReport",
    "measure_flow",
    "measure_sampler",
]
