"""The loop of a run: steps, challenges after them, and claims that an energy refutes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch

from wopt.component import build, name_of
from wopt.config.model import described
from wopt.data.transform import far_from_unit
from wopt.errors import CapabilityError, Converged, DivergenceError
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import Beginning, Listener
from wopt.interfaces.measurement import FinishedRun
from wopt.parallel.launch import told_by_first
from wopt.precision import training_in
from wopt.runs.preparation import Prepared
from wopt.runs.threads import training_threads
from wopt.statistics import mean_and_error
from wopt.train.check import FalseClaim, false_claims
from wopt.train.iterate import iterate
from wopt.train.problem import State
from wopt.train.record import StepRecord
from wopt.train.wrappers import compiling

__all__ = ["Ended", "make_steps"]

_SHARE, _LEAST = 0.5, 1.5
"""CPU seconds of a challenge between steps: as a fraction of the step's, and at least."""


@dataclasses.dataclass(frozen=True)
class _Stepped:
    """A step, saved or not.

    Attributes:
        state: State after the step.
        record: Record of the step.
        lower: Result of a challenge after the step, where ``stop.challenge`` asks for one.
    """

    state: State
    record: StepRecord
    lower: Any = None


@dataclasses.dataclass(frozen=True)
class Ended:
    """The end of the steps, and its reason.

    Attributes:
        state: State after the last step.
        status: ``"done"``; ``"stopped"`` on Ctrl-C; ``"failed"`` when a step was finally rejected.
        reason: The reason, in words.
        lower: Result of the last challenge, if ``stop.challenge`` asks for them.
    """

    state: State
    status: Literal["done", "stopped", "failed"]
    reason: str
    lower: Any


def make_steps(
    prepared: Prepared,
    state: State,
    listener: Listener,
    *,
    go_on: str,
    save: Callable[[State], None] | None = None,
) -> Ended:
    """Make steps until a rule, a final rejection or Ctrl-C ends them.

    Args:
        prepared: The run's data and parts.
        state: The state to begin from.
        listener: Receives messages on progress.
        go_on: Advice on how to continue after Ctrl-C.
        save: Called with the state after every step, before the listener.
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
    lower: Any = None
    try:
        reported = prepared.config.run
        threads = training_threads(prepared.config)
        with threads, training_in(reported.precision), compiling(reported.compile):
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
    """Return the facts for listeners before the first step."""
    config, data = prepared.config, prepared.dataset
    columns = None if data is None else data.transform.columns
    sizes = (len(prepared.train), len(prepared.valid), *(() if data is None else (len(data.test),)))
    return Beginning(
        objective=name_of(config.objective),
        scheme=name_of(config.scheme),
        source="particles" if data is None else name_of(config.source),
        rows=sizes,
        dim=prepared.train.dim,
        records=state.records,
        config=described(config),
        columns=tuple((c.name, c.kind) for c in columns.columns) if columns else (),
    )


def _steps(prepared: Prepared, state: State, listener: Listener) -> Iterator[_Stepped]:
    """Make steps until a stop rule is met, or a free step gains too little on fresh rows."""
    # A challenger is a free step (h = infinity, by maximum likelihood) from the present particles,
    # so one that gains is nearly the next step; the last one, which does not, gives the lower side.
    limit = prepared.problem.stop.challenge
    if limit is not None:
        why = build("measurement", "lower_side").applies(FinishedRun(prepared, state))
        if why is not None:
            raise CapabilityError(f"stop.challenge: {why}; leave it out")
    reported = set[str]()
    for after, record in iterate(prepared.problem, state, listener):
        if prepared.pushes:  # rows are draws of the start, without the model's likelihood
            records = tuple(dataclasses.replace(r, nll_valid=None) for r in after.records)
            after, record = dataclasses.replace(after, records=records), records[-1]
        for false in _refuted(prepared, after):
            if false.claim not in reported:
                listener.warn(false.text())
            reported.add(false.claim)
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


def _challenge(prepared: Prepared, state: State, record: StepRecord) -> Any:
    """Return the result of a challenge, timed by the first process."""
    seconds = max(_SHARE * record.cpu_seconds, _LEAST)
    challenger = build("measurement", "lower_side")
    found: list[Any] = []

    def challenge() -> str:
        run = FinishedRun(prepared, state, fresh=True)
        found.append(challenger.measure(run, Budget(seconds)))
        return json.dumps(found[0].to_dict())

    note = told_by_first(f"challenge {state.step}", challenge)
    return found[0] if found else challenger.document.from_dict(json.loads(note))


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
