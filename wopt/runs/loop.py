"""The steps of a run with its listeners, and why they ended."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Literal

import torch

from wopt.component import build, name_of
from wopt.config.model import readable_table
from wopt.data.transform import far_from_unit
from wopt.errors import CapabilityError, Converged, DivergenceError
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import Beginning, Listener
from wopt.interfaces.measurement import FinishedRun
from wopt.parallel.launch import told_by_first
from wopt.runs.preparation import Prepared
from wopt.runs.threads import training_threads
from wopt.statistics import mean_and_error
from wopt.train.check import false_claims
from wopt.train.problem import State
from wopt.train.steps import steps


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
    lower: Any = None


def make_steps(
    problem: Prepared,
    state: State,
    listener: Listener,
    *,
    go_on: str,
    keepers: Sequence[Listener] = (),
) -> Ended:
    """Make steps until a rule, a final rejection or Ctrl-C ends them."""
    _introduce(problem, state, listener)
    challenge = ChallengeListener(problem, state)
    listeners = (Claims(problem, listener), challenge, *keepers, listener)
    heard = dataclasses.replace(problem, listeners=listeners)
    status: Literal["done", "stopped", "failed"] = "done"
    reason = state.records[-1].stop if state.records else None
    try:
        with training_threads(problem.config):
            for after in steps(heard, state):
                state, reason = after, after.records[-1].stop
                listener.step(after.records[-1])
    except Converged as error:
        reason = str(error)
    except DivergenceError as error:
        status, reason = "failed", str(error)
    except KeyboardInterrupt:
        status, reason = "stopped", f"interrupted; {go_on}"
    return Ended(state, status, reason or "", challenge.lower)


def _introduce(problem: Prepared, state: State, listener: Listener) -> None:
    """Tell a listener what begins, and what was chosen or is odd about it."""
    config, data = problem.config, problem.dataset
    listener.begin(_beginning(problem, state))
    if state.records:
        return
    if config.plan is not None:
        listener.phase(config.plan.summary)
    far = None if data is None or config.source.role != "data" else far_from_unit(data)
    if far is not None:
        listener.warn(far)


def _beginning(problem: Prepared, state: State) -> Beginning:
    """Return the facts for listeners before the first step."""
    config, data = problem.config, problem.dataset
    columns = None if data is None else data.transform.columns
    sizes = (len(problem.train), len(problem.valid), *(() if data is None else (len(data.test),)))
    return Beginning(
        objective=name_of(config.objective),
        scheme=name_of(config.scheme),
        source="particles" if data is None else name_of(config.source),
        rows=sizes,
        dim=problem.train.dim + problem.train.condition,
        records=state.records,
        config=readable_table(config),
        columns=tuple((c.name, c.kind) for c in columns.columns) if columns else (),
        table=None if data is None else data.table,
    )


class Claims(Listener):
    """Warns once of each claim of objective and target that an energy refutes."""

    def __init__(self, problem: Prepared, listener: Listener) -> None:
        self.problem, self.listener = problem, listener
        self._reported = set[str]()

    @torch.no_grad()
    def stepped(self, state: State) -> None:
        """Compare the claims with the energy at held-out particles."""
        objective, at = self.problem.objective, state.valid.particles
        values = objective.contributions(at)
        energy, error = state.energy, 0.0
        if values is not None:
            energy, error = mean_and_error(values, at.weights)
        known = at.log_density_start is not None
        false = false_claims(objective, energy, error, start_known=known)
        for claim in false.keys() - self._reported:
            self.listener.warn(false[claim])
        self._reported |= false.keys()


_SHARE, _LEAST = 0.5, 1.5
"""CPU seconds of a challenge between steps: as a fraction of the step's, and at least."""


class ChallengeListener(Listener):
    """Stops a run when one more free step would gain fewer nats than ``stop.challenge``.

    A challenger is a free step (h = infinity, by maximum likelihood) from the present particles,
    so one that gains is nearly the next step; the last one, which does not, gives the lower side.
    """

    def __init__(self, problem: Prepared, state: State) -> None:
        self.problem, self.limit = problem, problem.stop.challenge
        self.lower: Any = None
        if self.limit is None:
            return
        self.measurement = build("measurement", "lower_side")
        why = self.measurement.applies(FinishedRun(problem, state))
        if why is not None:
            raise CapabilityError(f"stop.challenge: {why}; leave it out")

    def stepped(self, state: State) -> State | None:
        """Challenge the state; the first process does it, by its clock."""
        if self.limit is None:
            return None
        seconds = max(_SHARE * state.records[-1].cpu_seconds, _LEAST)
        found: list[Any] = []

        def challenge() -> str:
            run = FinishedRun(self.problem.alone, state.alone, fresh=True)
            found.append(self.measurement.measure(run, Budget(seconds)))
            return json.dumps(found[0].to_dict())

        note = told_by_first(self.problem.runtime.team, f"challenge {state.step}", challenge)
        side = found[0] if found else self.measurement.document.from_dict(json.loads(note))
        self.lower = side
        if side.value >= self.limit:
            return None
        return state.stopped(
            f"a free step gains {side.value:.3g} nats (standard error {side.error:.2g}) on fresh "
            f"rows, less than stop.challenge = {self.limit:g}"
        )
