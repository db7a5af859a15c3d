"""A race of candidates: trials by the clock; the best on held-out rows goes on, all are mixed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.component import Spec
from wopt.data.transform import AffineTransform
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import SILENT, Listener
from wopt.plan.budget import seconds_of
from wopt.plan.facts import BUDGET
from wopt.plan.planner import Plan
from wopt.push import push
from wopt.train.guard import nll
from wopt.train.stage import Stage, first_of

TRIAL, TRIALS = 1 / 6, 2 / 5
"""Fractions of a budget: a trial's schedule, and what trials take while the leader may go on."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A plan after a complete schedule by the clock.

    Attributes:
        plan: The plan.
        seconds: Length of the schedule, CPU s.
        block: The best map on held-out rows.
        transform: The preprocessing of its points.
        counts: Iterations in each part of the schedule.
        scores: NLL of held-out rows in the data's units, shape ``(n,)``, nats.
        judging: CPU seconds in which the held-out rows were scored.
        over: Whether training ended before its schedule, as held-out rows gained no more.
    """

    plan: Plan
    seconds: float
    block: FlowBlock
    transform: AffineTransform
    counts: tuple[int, ...]
    scores: Tensor
    judging: float
    over: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The end of a race.

    Attributes:
        plan: The leader's plan, whose block mixes the maps of all trials, if there are several.
        seconds: Its schedules, CPU s.
        trials: The trials, the leader's first.
    """

    plan: Plan
    seconds: tuple[float, ...]
    trials: tuple[Trial, ...] = ()


Ready = Callable[[Plan], Any]
"""Function from a plan to its run, ready to begin (:class:`wopt.runs.Prepared`)."""


def left_of(budget: float | str | None) -> float:
    """Return what the start of a command leaves of its budget, at least for a trial, CPU s.

    Args:
        budget: Of the whole process, as :func:`wopt.plan.seconds_of` reads it; 60 by default.
    """
    seconds = BUDGET if budget is None else seconds_of(budget)
    return round(max(seconds - Stopwatch.of_process(), TRIAL * seconds), 3)


def race(
    plans: Sequence[Plan], ready: Ready, budget: Budget, listener: Listener = SILENT
) -> Outcome:
    """Return the plan that held-out rows choose, and how it goes on.

    Plans have trials in their order, a complete schedule of a sixth of the budget each. The best
    one on held-out rows leads, of those that have iterations. Once two fifths of the budget are
    spent, the leader goes on from its map for the time that is left; if held-out rows gained no
    more in its trial, further plans have theirs instead.

    Args:
        plans: The plans, the one to stay with first.
        ready: Makes a plan ready.
        budget: The budget of all.
        listener: Receives the beginnings of trials.
    """
    assert budget.seconds is not None
    share, trials = TRIAL * budget.seconds, list[Trial]()
    for number, plan in enumerate(plans):
        may_gain = not (trials and trials[0].over)
        if number and (not trials or budget.spent > (TRIALS if may_gain else 1 - TRIAL)):
            break
        listener.work("trying plans", number, len(plans))
        trial = made_trial(plan, ready(plan), share)
        if trial is not None:
            trials.insert(0 if not trials or beats(trial, trials[0]) else len(trials), trial)
    if not trials:
        return Outcome(plans[0], (budget.left or share,))
    return _went_on(trials, budget)


def beats(trial: Trial, lead: Trial) -> bool:
    """Return whether a trial is better on held-out rows than the leader, or it alone may gain.

    What EM has fitted gains no more by time, so that it leads only what EM has fitted.
    """
    gains = sum(trial.counts) > 0
    if gains != (sum(lead.counts) > 0):
        return gains
    bound = math.log(len(lead.scores) + 1)
    return float((lead.scores - trial.scores).clamp(-bound, bound).mean()) > 0


def _went_on(trials: Sequence[Trial], budget: Budget) -> Outcome:
    """Return how the leader goes on: for the rest of the budget, while held-out rows gain."""
    lead, *others = trials
    plan, why = lead.plan, list[str]()
    schedules: tuple[float, ...] = (lead.seconds,)
    if others:
        told = ", ".join(f"{t.plan.reasons[0]} {float(t.scores.mean()):.4g}" for t in trials)
        why.append(f"tried {told}; mixed by held-out rows")
        members = [trial.plan.table["block"] for trial in trials]
        table = {**plan.table, "block": {"name": "stack", "members": members}}
        plan = dataclasses.replace(plan, table=table)
    left = round((budget.left or 0.0) - 3 * sum(trial.judging for trial in trials), 3)
    if lead.over:
        why.append(f"held-out rows gain no more after {lead.seconds:.2g} CPU s of training")
    elif left > 0:
        schedules = (lead.seconds, left)
    plan = dataclasses.replace(plan, reasons=(*plan.reasons, *why))
    return Outcome(plan, schedules, tuple(trials))


def assembled(
    chosen: Spec | FlowBlock, trials: Sequence[Trial]
) -> tuple[FlowBlock, tuple[tuple[int, ...], ...]]:
    """Return the map after the trials, and the iterations of the leader's schedule.

    Args:
        chosen: The block of the outcome's plan.
        trials: The trials, the leader's first.
    """
    lead = trials[0]
    if len(trials) == 1:
        return lead.block, (lead.counts,)
    sizes = len(lead.transform.shift), lead.transform.condition
    like = next(iter(lead.block.state_dict().values()))
    mixed = new_block(cast(Spec, chosen), *sizes).to(like.device)
    cast(Any, mixed).assemble([(trial.block, trial.transform) for trial in trials])
    return mixed.freeze(), (lead.counts,)


def made_trial(
    plan: Plan, entry: Any, seconds: float, recorded: Sequence[int] | None = None
) -> Trial | None:
    """Return a plan after a schedule; ``None`` where rows have no likelihood or it diverged.

    Args:
        plan: The plan.
        entry: Its run, ready to begin.
        seconds: Length of the schedule, CPU s.
        recorded: Iterations in each hundredth of an earlier trial, which is repeated.
    """
    problem = entry.problem
    solver = problem.solver.of_step(0)
    known = solver.recorded if recorded is None else [list(recorded)]
    solver = solver.varied(seconds=[seconds], recorded=known)
    problem = dataclasses.replace(problem, solver=solver)
    train, valid = (first_of(problem, particles) for particles in (entry.train, entry.valid))
    stage, training = Stage(problem, 0, 0, 0, train, valid), Stopwatch()
    block, report = stage.train(None)
    trained, scoring = training.cpu, Stopwatch()
    scores = None if report.diverged else _scores(entry, block)
    if scores is None:
        return None
    about = plan, seconds, block, entry.transform, stage.made[-1], scores, scoring.cpu
    return Trial(*about, over=known is None and trained < seconds)


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
