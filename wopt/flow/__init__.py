"""Flows: a map and a base law, sampled and evaluated in the data's units."""

from wopt.flow.base import Base, DistributionBase, SourceBase, TargetBase, draw
from wopt.flow.chain import Chain, Inverse
from wopt.flow.flow import Flow
from wopt.flow.views import FlowDistribution
from wopt.flow.weights import (
    effective_size,
    log_mean_weight,
    log_weights,
    log_weights_of,
    weighted_moments,
)

__all__ = [
    "Base",
    "Chain",
    "DistributionBase",
    "Flow",
    "FlowDistribution",
    "Inverse",
    "SourceBase",
    "TargetBase",
    "draw",
    "effective_size",
    "log_mean_weight",
    "log_weights",
    "log_weights_of",
    "weighted_moments",
]
