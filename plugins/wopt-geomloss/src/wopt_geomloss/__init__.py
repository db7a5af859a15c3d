"""Optimal transport: Sinkhorn divergences, Wasserstein distances, barycentres, entropic steps.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

_PLACES = {
    "Arrival": "wopt_geomloss.populations.arrival",
    "Barycenter": "wopt_geomloss.exact.barycenter",
    "EntropicJKO": "wopt_geomloss.entropic.jko",
    "LearntPotential": "wopt_geomloss.populations.potential",
    "Sinkhorn": "wopt_geomloss.entropic.sinkhorn",
    "SnapshotsSource": "wopt_geomloss.populations.source",
    "Wasserstein": "wopt_geomloss.exact.wasserstein",
    "WeightedTarget": "wopt_geomloss.exact.barycenter",
}

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

__getattr__, __dir__ = exports(__name__, _PLACES)
