"""Optimal transport: Sinkhorn divergences, Wasserstein distances, barycentres, entropic steps.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_geomloss.entropic.jko import EntropicJKO as EntropicJKO
    from wopt_geomloss.entropic.sinkhorn import Sinkhorn as Sinkhorn
    from wopt_geomloss.exact.barycenter import Barycenter as Barycenter
    from wopt_geomloss.exact.barycenter import WeightedTarget as WeightedTarget
    from wopt_geomloss.exact.wasserstein import Wasserstein as Wasserstein
    from wopt_geomloss.populations.arrival import Arrival as Arrival
    from wopt_geomloss.populations.potential import LearntPotential as LearntPotential
    from wopt_geomloss.populations.source import SnapshotsSource as SnapshotsSource

__getattr__, __dir__ = exports(__name__, __file__)
