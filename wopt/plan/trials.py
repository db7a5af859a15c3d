"""A race of candidates: trials by the clock, of which held-out rows choose one that goes on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import SILENT, Listener
from wopt.plan.planner import Plan
from wopt.push import push
from wopt.train.guard import nll
from wopt.train.stage import Stage, first_of

__all__ = ["Outcome", "race"]

TRIAL, TRIALS = 1 / 6, 2 / 5
"""Fractions of a budget: a trial's schedule, and what is spent when no trial begins any more."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A plan after a complete schedule by the clock.

    Attributes:
        plan: The plan.
        seconds: Length of the schedule, CPU s.
        block: The best map on held-out rows.
        counts: Iterations in each part of the schedule.
        scores: NLL of held-out rows in the data's units, shape ``(n,)``, nats.
        judging: CPU seconds in which the held-out rows were scored.
        over: Whether training ended before its schedule, as held-out rows gained no more.
    """

    plan: Plan
    seconds: float
    block: FlowBlock
    counts: tuple[int, ...]
    scores: Tensor
    judging: float
    over: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The chosen plan, its schedules in CPU seconds, and the map after those that are made."""

    plan: Plan
    seconds: tuple[float, ...]
    begun: tuple[FlowBlock, tuple[tuple[int, ...], ...]] | None


Ready = Callable[[Plan], Any]
"""Function from a plan to its run, ready to begin (:class:`wopt.runs.Prepared`)."""


def race(
    plans: Sequence[Plan], ready: Ready, budget: Budget, listener: Listener = SILENT
) -> Outcome:
    """Return the plan that held-out rows choose, and how it goes on.

    Plans have trials in their order: a complete schedule of a sixth of the budget each, until two
    fifths of it are spent. A later plan takes the lead where it is better on held-out rows. The
    leader goes on from its map for the time that is left, unless held-out rows gained no more.

    Args:
        plans: The plans, the one to stay with first.
        ready: Makes a plan ready.
        budget: The budget of all.
        listener: Receives the beginnings of trials.
    """
    assert budget.seconds is not None
    share = TRIAL * budget.seconds
    lead = _trial(plans[0], ready(plans[0]), share)
    told, tried = [_told(lead)], 1
    if lead is None:
        return Outcome(plans[0], (budget.left or share,), None)
    for number, plan in enumerate(plans[1:], 1):
        if budget.spent > TRIALS:
            break
        listener.work("trying plans", number, len(plans))
        trial = _trial(plan, ready(plan), share)
        if trial is None:
            continue
        tried += 1
        told.append(_told(trial))
        if beats(trial, lead):
            lead = trial
    why = (f"tried {', '.join(told)}",) if tried > 1 else ()
    return _went_on(lead, budget, why)


def beats(trial: Trial, lead: Trial) -> bool:
    """Return whether a trial is better on held-out rows than the leader."""
    bound = math.log(len(lead.scores) + 1)
    return float((lead.scores - trial.scores).clamp(-bound, bound).mean()) > 0


def _went_on(lead: Trial, budget: Budget, why: tuple[str, ...]) -> Outcome:
    """Return how the leader goes on: for the rest of the budget, while held-out rows gain."""
    schedules: tuple[float, ...] = (lead.seconds,)
    left = round((budget.left or 0.0) - 3 * lead.judging, 3)
    if lead.over:
        why = (*why, f"held-out rows gain no more after {lead.seconds:.2g} CPU s of training")
    elif left > 0:
        schedules = (lead.seconds, left)
    plan = dataclasses.replace(lead.plan, reasons=(*lead.plan.reasons, *why))
    return Outcome(plan, schedules, (lead.block, (lead.counts,)))


def _told(trial: Trial | None) -> str:
    return "" if trial is None else f"{trial.plan.reasons[0]} {float(trial.scores.mean()):.4g}"


def _trial(plan: Plan, entry: Any, seconds: float) -> Trial | None:
    """Return a plan after a schedule; ``None`` where rows have no likelihood or it diverged."""
    problem = entry.problem
    solver = problem.solver.of_step(0).varied(seconds=[seconds])
    problem = dataclasses.replace(problem, solver=solver)
    train, valid = (first_of(problem, particles) for particles in (entry.train, entry.valid))
    stage, training = Stage(problem, 0, 0, 0, train, valid), Stopwatch()
    block, report = stage.train(None)
    trained, scoring = training.cpu, Stopwatch()
    scores = None if report.diverged else _scores(entry, block)
    if scores is None:
        return None
    over = trained < seconds
    return Trial(plan, seconds, block, stage.made[-1], scores, scoring.cpu, over)


@torch.no_grad()
def _scores(entry: Any, block: FlowBlock) -> Tensor | None:
    """Return the NLL of held-out rows in the data's units, shape ``(n,)``, nats."""
    values = nll(entry.problem.objective, push(block, entry.valid))
    if values is None:
        return None
    return (
        values.double().cpu()
        - entry.dataset.transform(entry.dataset.split(entry.dataset.valid)[0])[1]
    )
