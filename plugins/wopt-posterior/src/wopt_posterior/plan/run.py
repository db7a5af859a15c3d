"""Runs that sample a posterior, whose stages are planned where they are not given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from wopt.capabilities import Capability
from wopt.component import Component
from wopt.config import RunConfig, validate
from wopt.plan import BUDGET, Planning, apply
from wopt.runs import Prepared, build, like, training_threads, with_threads
from wopt.seeds import derive
from wopt_posterior.plan.rounds import cost_of, fixed, in_rounds, modes_apart
from wopt_posterior.plan.rules import Posterior, plan_of_posterior

__all__ = ["is_posterior", "planned", "planned_sampler", "wants_plan"]

_CHOICES = ("scheme", "block", "blocks", "stop", "refine")
"""Options that show that steps are chosen by hand; then only a ``[plan]`` plans."""


def is_posterior(config: RunConfig) -> bool:
    """Return whether a start is carried to a target known by its potential, without samples.

    The objective must be ``kl`` alone, whose minimiser is that target. A target in a Python file
    counts even with reference samples, and so does every target where ``[plan]`` asks for a plan: a
    plan for rows of data would not look for modes, nor continue until weights are even.
    """
    target = config.objective.target
    if config.source.role != "start" or target is None or config.smooth_time:
        return False
    known = Capability.POTENTIAL in target.provides and config.objective.of_density
    drawn = Capability.TARGET_SAMPLES in target.provides and not hasattr(target, "samples")
    return known and (config.plan is not None or not drawn) and config.model != "pull_back"


def wants_plan(config: RunConfig, table: Mapping[str, Any]) -> bool:
    """Return whether to plan: by ``[plan]``, or because no option of steps is given.

    Args:
        config: The configuration.
        table: The given table. Of ``[solver]``, ``iterations`` may be given.
    """
    if config.plan is not None:
        return not config.plan.told
    solver = table.get("solver", {})
    known = isinstance(solver, Mapping) and set(solver) <= {"iterations"}
    return known and not any(key in table for key in _CHOICES)


def planned(config: RunConfig, table: Mapping[str, Any], where: str = "") -> Prepared | None:
    """Return a run that samples a posterior and is to be planned; ``None`` for others."""
    if not (is_posterior(config) and wants_plan(config, table)):
        return None
    return planned_sampler(config, table, where)


def planned_sampler(config: RunConfig, table: Mapping[str, Any], where: str = "") -> Prepared:
    """Return a run with the stages that :func:`.plan_of_posterior` chooses.

    An evaluation of the density and an iteration of the map are timed on this machine, and their
    numbers fit the budget; with ``solver.iterations`` the same seed gives the same run anywhere.

    Args:
        config: The validated configuration.
        table: The configuration as given.
        where: The file, for messages.

    Raises:
        UserError: The configuration or parts cannot be used.
    """
    seed, budget = (
        derive(config.seed, "source"),
        None if config.plan is None else config.plan.seconds,
    )
    dataset = config.source.loaded(seed)
    facts = Posterior(dataset.dim - dataset.condition, BUDGET if budget is None else budget)
    chosen = plan_of_posterior(facts)
    full = validate(apply(chosen, table), where)
    dataset = full.source.loaded(seed)
    prepared = build(full, dataset)
    parts = modes_apart(prepared.problem, prepared.train, facts.budget)
    if parts:
        chosen = plan_of_posterior(dataclasses.replace(facts, mode_separation=parts))
        prepared = build(validate(apply(chosen, table), where), dataset)
    prepared = with_threads(prepared)
    solver = table.get("solver")
    if isinstance(solver, Mapping) and "iterations" in solver:
        chosen = fixed(chosen, solver["iterations"])
    elif not isinstance(solver, Component):
        with training_threads(prepared.config):
            cost = cost_of(prepared.problem, prepared.train, prepared.valid)
        chosen = in_rounds(chosen, cost)
    reported = Planning(budget=facts.budget, told=chosen.summary)
    table = {**apply(chosen, table), "plan": reported}
    return like(prepared, build(validate(table, where), dataset))
