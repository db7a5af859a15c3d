"""The integral of a model's density, which should be one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from wopt.capabilities import Capability
from wopt.errors import WoptError
from wopt.flow import Flow
from wopt.interfaces import FlowBlock, Listener
from wopt.runs import Prepared
from wopt.seeds import derive, generator
from wopt_certify.inverse import MOST_DIMENSIONS, TotalMass, total_mass
from wopt_certify.results import Certificate

__all__ = ["mass_of", "with_mass"]

_ROWS, _DRAWS = 500, 2000
"""Numbers of rows of data, and of the model, that locate its density, and of draws."""

_LEAST_DRAWS = 250
_LEFT_OUT = (
    "Whether the model's density integrates to one was not checked: the budget is too small for "
    f"the least, {_LEAST_DRAWS} draws (`wopt certify --budget` tries harder)."
)
_TRIAL = 32
_SHARE = 0.05
"""Fraction of a certificate's budget that this may take."""


def with_mass(
    certificate: Certificate,
    prepared: Prepared,
    blocks: Sequence[FlowBlock],
    progress: Listener,
    counts: tuple[int, int] | None = None,
) -> Certificate:
    """Return the certificate with the model's mass; the headline says if that is not one.

    The mass is left out where the certificate's budget is too small.

    Args:
        certificate: The run's certificate.
        prepared: The run's data and parts.
        blocks: The run's maps.
        progress: Listener that is warned if the mass is not one.
        counts: Numbers of draws and of rows of the model, instead of those that the budget allows.
    """
    try:
        budget = certificate.effort.budget
        seconds = None if budget is None else _SHARE * budget
        mass = mass_of(prepared, blocks, seconds, counts)
    except WoptError as error:
        progress.warn(f"the model's density was not integrated: {error}")
        return certificate
    if mass is None:
        return certificate
    if isinstance(mass, str):
        return dataclasses.replace(certificate, notes=(*certificate.notes, mass))
    if mass.is_one:
        return dataclasses.replace(certificate, mass=mass)
    progress.warn(mass.text())
    return certificate.changed(mass=mass, notes=(mass.text(), *certificate.notes))


@torch.no_grad()
def mass_of(
    prepared: Prepared,
    blocks: Sequence[FlowBlock],
    seconds: float | None = None,
    counts: tuple[int, int] | None = None,
) -> TotalMass | str | None:
    """Return the integral of the model's audited density, or ``None`` where it cannot be estimated.

    Without enough time the result is a note. The integral cannot be estimated in many dimensions,
    or if the density is unknown or conditional, or has columns that are discrete or bounded.

    Args:
        prepared: The run's data and parts.
        blocks: The run's maps.
        seconds: Budget in CPU seconds; ``None`` for no limit.
        counts: Numbers of draws and of rows of the model, whatever time they take; zero draws leave
            it out.

    Raises:
        WoptError: Rows cannot be mapped.
    """
    flow, seed = prepared.flow(blocks), derive(prepared.config.seed, "mass")
    if flow.dim > MOST_DIMENSIONS or flow.condition or not _has_density(prepared, flow):
        return None
    assert prepared.dataset is not None
    rows = prepared.dataset.test[:_ROWS]
    draws, count = counts or (0, 0)
    if counts is None:
        draws = _affordable(lambda: flow.log_prob(rows[:_TRIAL], audit=True), _DRAWS, seconds)
    if draws < _LEAST_DRAWS:
        return _LEFT_OUT
    parts = [] if prepared.pushes else [rows]
    if Capability.INVERSE in flow.chain.provides:
        if counts is None:
            rng = generator(seed, "trial")
            count = _affordable(lambda: flow.sample(_TRIAL, generator=rng), _ROWS, seconds)
        parts.append(flow.sample(count, generator=generator(seed, "rows")))
    where = torch.cat([part.double().cpu() for part in parts]) if parts else torch.empty(0)
    where = where[torch.isfinite(where).all(dim=-1)]
    if len(where) <= 10 * flow.dim:
        return None
    mass = total_mass(lambda x: flow.log_prob(x, audit=True), where, seed, draws)
    return dataclasses.replace(mass, draws=draws, rows=count)


def _affordable(work: Callable[[], Any], most: int, seconds: float | None) -> int:
    """Return the number of rows that half of the time allows, by timing a few."""
    if seconds is None:
        return most
    began = time.process_time()
    work()
    each = (time.process_time() - began) / _TRIAL
    return most if each == 0 else min(most, int(seconds / 2 / each))


def _has_density(prepared: Prepared, flow: Flow) -> bool:
    assert prepared.dataset is not None
    columns = flow.transform.columns
    moved = () if columns is None else columns.moved
    somewhere = any(column.discrete or column.bounded for column in moved)
    known = Capability.LOG_DET in flow.chain.provides and flow.normalised
    if prepared.pushes:  # backwards through the maps
        known = known and Capability.INVERSE in flow.chain.provides
    return bool(known and not somewhere)
