"""Runs that sample a posterior, whose stages are planned where they are not given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from wopt.capabilities import Capability
from wopt.component import Component
from wopt.config.model import RunConfig, validate
from wopt.plan import apply, cost_of, facts_of, fixed, in_rounds, plan_of_posterior
from wopt.plan.modes import modes_apart
from wopt.plan.planning import Planning
from wopt.runs.prepare import Prepared, prepare
from wopt.runs.threads import like, training_threads, with_threads
from wopt.seeds import derive

__all__ = ["is_posterior", "planned_sampler", "wants_plan"]

_CHOICES = ("scheme", "block", "blocks", "stop", "refine")
"""What shows that a person has thought of steps; then only a ``[plan]`` plans."""


def is_posterior(config: RunConfig) -> bool:
    """Whether a start is carried to a target that is known by its potential and no samples.

    And by ``kl`` alone, whose minimiser is that target. One in a Python file counts even with
    samples for reference, and so does every target where ``[plan]`` asks for a plan: one for rows
    of data would not look for modes, nor go on until weights are even.
    """
    target = config.objective.target
    if config.source.role != "start" or target is None or config.smooth_time:
        return False
    known = Capability.POTENTIAL in target.provides and config.objective.of_density
    drawn = Capability.TARGET_SAMPLES in target.provides and not hasattr(target, "samples")
    return known and (config.plan is not None or not drawn) and config.model != "pull_back"


def wants_plan(config: RunConfig, table: Mapping[str, Any]) -> bool:
    """Whether it is to be planned: by ``[plan]``, or because nothing about steps is given.

    Args:
        config: The configuration.
        table: As it was given. Of ``[solver]``, ``iterations`` may be given.
    """
    if config.plan is not None:
        return not config.plan.told
    solver = table.get("solver", {})
    known = isinstance(solver, Mapping) and set(solver) <= {"iterations"}
    return known and not any(key in table for key in _CHOICES)


def planned_sampler(config: RunConfig, table: Mapping[str, Any], where: str = "") -> Prepared:
    """Return a run with the stages that :func:`wopt.plan.plan_of_posterior` chooses.

    An evaluation of the density and an iteration of the map are timed on this machine, and how many
    fit the budget is planned; with ``solver.iterations`` the same seed gives the same run anywhere.

    Args:
        config: The configuration, validated.
        table: The same as it was given.
        where: The file, for messages.

    Raises:
        UserError: The configuration or parts cannot be used.
    """
    seed, budget = (
        derive(config.seed, "source"),
        None if config.plan is None else config.plan.seconds,
    )
    dataset = config.source.loaded(seed)
    facts = facts_of(dataset, budget, posterior=True, seed=config.seed)
    chosen = plan_of_posterior(facts)
    full = validate(apply(chosen, table), where)
    dataset = full.source.loaded(seed)
    prepared = prepare(full, dataset)
    parts = modes_apart(prepared.problem, prepared.train, facts.budget)
    if parts:
        chosen = plan_of_posterior(dataclasses.replace(facts, apart=parts))
        prepared = prepare(validate(apply(chosen, table), where), dataset)
    prepared = with_threads(prepared)
    solver = table.get("solver")
    if isinstance(solver, Mapping) and "iterations" in solver:
        chosen = fixed(chosen, solver["iterations"])
    elif not isinstance(solver, Component):
        with training_threads(prepared.config):
            cost = cost_of(prepared.problem, prepared.train, prepared.valid)
        chosen = in_rounds(chosen, cost)
    planned = Planning(budget=facts.budget, told=chosen.told)
    table = {**apply(chosen, table), "plan": planned}
    return like(prepared, prepare(validate(table, where), dataset))
