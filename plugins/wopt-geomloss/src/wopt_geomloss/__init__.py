"""Optimal transport: Sinkhorn divergences, Wasserstein distances, barycentres, entropic steps.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_geomloss.entropic.jko import EntropicJKO
    from wopt_geomloss.entropic.sinkhorn import Sinkhorn
    from wopt_geomloss.exact.barycenter import Barycenter, WeightedTarget
    from wopt_geomloss.exact.wasserstein import Wasserstein
    from wopt_geomloss.populations.arrival import Arrival
    from wopt_geomloss.populations.potential import LearntPotential
    from wopt_geomloss.populations.source import SnapshotsSource

__all__ = [
    "Arrival",
    "Barycenter",
    "EntropicJKO",
    "LearntPotential",
    "Sinkhorn",
    "SnapshotsSource",
    "Wasserstein",
    "WeightedTarget",
]

__getattr__, __dir__ = exports(__name__, __file__)
