"""Flows: a map and a base law, sampled and evaluated in the data's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.flow.base import Base, DistributionBase, SourceBase, TargetBase, draw
    from wopt.flow.chain import Chain, Inverse
    from wopt.flow.conversions import free
    from wopt.flow.flow import Flow
    from wopt.flow.rejection import Draw, Rejection
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
    "Draw",
    "Flow",
    "FlowDistribution",
    "Inverse",
    "Rejection",
    "SourceBase",
    "TargetBase",
    "draw",
    "effective_size",
    "free",
    "log_mean_weight",
    "log_weights",
    "log_weights_of",
    "weighted_moments",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Base": "wopt.flow.base",
        "Chain": "wopt.flow.chain",
        "DistributionBase": "wopt.flow.base",
        "Draw": "wopt.flow.rejection",
        "Flow": "wopt.flow.flow",
        "FlowDistribution": "wopt.flow.views",
        "Inverse": "wopt.flow.chain",
        "Rejection": "wopt.flow.rejection",
        "SourceBase": "wopt.flow.base",
        "TargetBase": "wopt.flow.base",
        "draw": "wopt.flow.base",
        "effective_size": "wopt.flow.weights",
        "free": "wopt.flow.conversions",
        "log_mean_weight": "wopt.flow.weights",
        "log_weights": "wopt.flow.weights",
        "log_weights_of": "wopt.flow.weights",
        "weighted_moments": "wopt.flow.weights",
    },
)
