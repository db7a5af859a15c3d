"""The loop of a run: steps, what a challenge says after each, and claims that an energy refutes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Literal

import torch

from wopt.certify.claims import FalseClaim, false_claims
from wopt.certify.lower import LowerSide
from wopt.component import name_of
from wopt.config.model import described
from wopt.data.sizes import far_from_unit
from wopt.errors import CapabilityError, Converged, DivergenceError
from wopt.interfaces.listener import Beginning, Listener
from wopt.parallel.launch import told_by_first
from wopt.precision import training_in
from wopt.runs.challenge import Challenge, can_be_challenged
from wopt.runs.prepare import Prepared
from wopt.runs.threads import training_threads
from wopt.statistics import mean_and_error
from wopt.train.compiled import compiling
from wopt.train.iterate import iterate
from wopt.train.problem import State
from wopt.train.record import StepRecord

__all__ = ["Ended", "make_steps"]

_SHARE, _LEAST = 0.5, 1.5
"""CPU seconds of a challenge between steps, as a share of the step's, and at the least."""


@dataclasses.dataclass(frozen=True)
class _Stepped:
    """A step, saved or not.

    Attributes:
        state: After it.
        record: Its record.
        lower: What a challenge found after it, where ``stop.challenge`` asks for one.
    """

    state: State
    record: StepRecord
    lower: LowerSide | None = None


@dataclasses.dataclass(frozen=True)
class Ended:
    """Where the steps ended, and why.

    Attributes:
        state: After the last one.
        status: ``"done"``; ``"stopped"`` on Ctrl-C; ``"failed"`` when a step was rejected for good.
        reason: Why, in words.
        lower: What the last challenge found, if ``stop.challenge`` asks for them.
    """

    state: State
    status: Literal["done", "stopped", "failed"]
    reason: str
    lower: LowerSide | None


def make_steps(
    prepared: Prepared,
    state: State,
    listener: Listener,
    *,
    go_on: str,
    save: Callable[[State], None] | None = None,
) -> Ended:
    """Make steps until they end, whatever ends them: a rule, a rejection, Ctrl-C.

    Args:
        prepared: The run.
        state: Where it stands.
        listener: Told of the work.
        go_on: How to go on after Ctrl-C, in words.
        save: Called with the state after every step, before others are told.
    """
    listener.begin(_beginning(prepared, state))
    if prepared.config.plan is not None and not state.records:
        listener.phase(prepared.config.plan.told)
    if prepared.threads and not state.records:
        listener.phase(prepared.threads)
    far = None if prepared.dataset is None else far_from_unit(prepared.dataset)
    if far is not None and not state.records and prepared.config.source.role == "data":
        listener.warn(far)
    status: Literal["done", "stopped", "failed"] = "done"
    reason = state.records[-1].stop if state.records else None
    lower: LowerSide | None = None
    try:
        told = prepared.config.run
        threads = training_threads(prepared.config)
        with threads, training_in(told.precision), compiling(told.compile):
            for made in _steps(prepared, state, listener):
                if save is not None:
                    save(made.state)
                state, reason, lower = made.state, made.record.stop, made.lower
                listener.step(made.record)
    except Converged as error:
        reason = str(error)
    except DivergenceError as error:
        status, reason = "failed", str(error)
    except KeyboardInterrupt:
        status, reason = "stopped", f"interrupted; {go_on}"
    return Ended(state, status, reason or "", lower)


def _beginning(prepared: Prepared, state: State) -> Beginning:
    """Return what listeners are told before the first step."""
    config, data = prepared.config, prepared.dataset
    sizes = (len(prepared.train), len(prepared.valid), *(() if data is None else (len(data.test),)))
    return Beginning(
        objective=name_of(config.objective),
        scheme=name_of(config.scheme),
        source="particles" if data is None else name_of(config.source),
        rows=sizes,
        dim=prepared.train.dim,
        records=state.records,
        config=described(config),
    )


def _steps(prepared: Prepared, state: State, listener: Listener) -> Iterator[_Stepped]:
    """Make steps until a stop rule is met, or a free step gains too little on fresh rows.

    A challenger is a free step (h = infinity, by maximum likelihood) from where the particles
    stand, so one that gains is nearly the next step; the last one, which does not, is the lower
    side of the certificate.

    Raises:
        CapabilityError: ``stop.challenge`` is set and the model cannot be challenged.
        Converged: As :func:`~wopt.train.iterate.iterate`.
        DivergenceError: Likewise.
    """
    limit = prepared.problem.stop.challenge
    if limit is not None and not can_be_challenged(prepared):
        raise CapabilityError(
            "stop.challenge needs a model of data with a normalised density, which others can be "
            "compared with, and this is none; leave it out"
        )
    told = set[str]()
    for after, record in iterate(prepared.problem, state, listener):
        if prepared.pushes:  # the rows are draws of the start: their likelihood is not the model's
            records = tuple(dataclasses.replace(r, nll_valid=None) for r in after.records)
            after, record = dataclasses.replace(after, records=records), records[-1]
        for false in _refuted(prepared, after):
            if false.claim not in told:
                listener.warn(false.text())
            told.add(false.claim)
        if limit is None:
            yield _Stepped(after, record)
            continue
        side = _challenge(prepared, after, record)
        if side.value >= limit:
            yield _Stepped(after, record, side)
            continue
        reason = (
            f"a free step gains {side.value:.3g} nats (standard error {side.error:.2g}) on fresh "
            f"rows, less than stop.challenge = {limit:g}"
        )
        record = dataclasses.replace(record, stop=reason)
        after = dataclasses.replace(after, records=(*after.records[:-1], record))
        yield _Stepped(after, record, side)
        return


def _challenge(prepared: Prepared, state: State, record: StepRecord) -> LowerSide:
    """Return what a challenge finds, which goes by a clock: that of the first process."""
    seconds = max(_SHARE * record.cpu_seconds, _LEAST)
    level = prepared.config.certify.level
    found: list[LowerSide] = []

    def challenge() -> str:
        challenger = Challenge(prepared, state.blocks, state, fresh=True)
        found.append(challenger.lower_side(seconds, level))
        return json.dumps(found[0].to_dict())

    told = told_by_first(f"challenge {state.step}", challenge)
    return found[0] if found else LowerSide.from_dict(json.loads(told))


@torch.no_grad()
def _refuted(prepared: Prepared, state: State) -> list[FalseClaim]:
    """Return the claims of objective and target that the last energy refutes."""
    objective, at = prepared.problem.objective, state.valid.particles
    values = objective.contributions(at)
    energy, error = state.energy, 0.0
    if values is not None:
        energy, error = mean_and_error(values, at.weights)
    known = at.log_density_start is not None
    return false_claims(objective, energy, error, start_known=known)
