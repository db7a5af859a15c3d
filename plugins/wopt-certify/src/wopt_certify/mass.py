"""The integral of a model's density, which should be one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from wopt.capabilities import Capability
from wopt.flow import Flow
from wopt.interfaces import FlowBlock
from wopt.runs import Prepared
from wopt.seeds import derive, generator
from wopt_certify.inverse import MOST_DIMENSIONS, TotalMass, total_mass

__all__ = ["mass_of", "why_no_mass"]

_ROWS = 500
"""Number of rows of data, and of the model, that locate its density, at most."""


def why_no_mass(prepared: Prepared, blocks: Sequence[FlowBlock]) -> str | None:
    """Return why a model's density is not integrated; ``None`` where it can be."""
    flow = prepared.flow(blocks)
    if prepared.dataset is None:
        return "there are no rows that locate the density"
    if flow.dim > MOST_DIMENSIONS or flow.condition:
        return f"densities are integrated in up to {MOST_DIMENSIONS} dimensions, without conditions"
    return None if _has_density(prepared, flow) else "the model has no density on all of R^d"


@torch.no_grad()
def mass_of(prepared: Prepared, blocks: Sequence[FlowBlock], draws: int = 2000) -> TotalMass | None:
    """Return the integral of the model's audited density; ``None`` where rows are too few.

    Args:
        draws: Number of draws that integrate; at most 500 rows of the model locate the density.
    """
    flow, seed = prepared.flow(blocks), derive(prepared.config.seed, "mass")
    assert prepared.dataset is not None
    count = min(_ROWS, draws)
    parts = [] if prepared.pushes else [prepared.dataset.test[:_ROWS]]
    if Capability.INVERSE in flow.chain.provides:
        parts.append(flow.sample(count, generator=generator(seed, "rows")))
    where = torch.cat([part.double().cpu() for part in parts]) if parts else torch.empty(0)
    where = where[torch.isfinite(where).all(dim=-1)]
    if len(where) <= 10 * flow.dim:
        return None
    mass = total_mass(lambda x: flow.log_prob(x, audit=True), where, seed, draws)
    return dataclasses.replace(mass, draws=draws, rows=count)


def _has_density(prepared: Prepared, flow: Flow) -> bool:
    assert prepared.dataset is not None
    columns = flow.transform.columns
    moved = () if columns is None else columns.moved
    somewhere = any(column.discrete or column.bounded for column in moved)
    known = Capability.LOG_DET in flow.chain.provides and flow.normalised
    if prepared.pushes:  # backwards through the maps
        known = known and Capability.INVERSE in flow.chain.provides
    return bool(known and not somewhere)
