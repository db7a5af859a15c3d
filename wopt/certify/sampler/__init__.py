"""Samplers: estimates of a model's errors from its own draws and exact draws of the target."""

from wopt.certify.sampler.measure import measure_sampler
from wopt.certify.sampler.of_flow import log_weights_of, measure_flow
from wopt.certify.sampler.report import BLIND, LostMode, ModeWeight, SamplerReport
from wopt.psis import Smoothed, smoothed_importance_weights

__all__ = [
    "BLIND",
    "LostMode",
    "ModeWeight",
    "SamplerReport",
    "Smoothed",
    "log_weights_of",
    "measure_flow",
    "measure_sampler",
    "smoothed_importance_weights",
]
