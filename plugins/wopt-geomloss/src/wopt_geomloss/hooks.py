"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)

_OBJECTIVES = (
    ("barycenter", "exact.barycenter:Barycenter", "sum_i w_i W2^2(rho, q_i)/2 to several targets"),
    (
        "learnt_potential",
        "populations.potential:LearntPotential",
        "E V, V learnt from populations in time as JKOnet* does",
    ),
    ("sinkhorn", "entropic.sinkhorn:Sinkhorn", "debiased Sinkhorn divergence to target samples"),
    ("wasserstein", "exact.wasserstein:Wasserstein", "half squared W2, by exact plans"),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components."""
    for name, path, summary in _OBJECTIVES:
        registry.add("objective", name, f"wopt_geomloss.{path}", summary=summary)
    registry.add(
        "scheme",
        "entropic_jko",
        "wopt_geomloss.entropic.jko:EntropicJKO",
        summary="jko with entropic transport",
    )
    registry.add(
        "source",
        "snapshots",
        "wopt_geomloss.populations.source:SnapshotsSource",
        summary="populations measured at several times, one after the other",
    )
    registry.add(
        "step_size",
        "arrival",
        "wopt_geomloss.populations.arrival:Arrival",
        summary="JKO steps that arrive at each population in time",
    )
