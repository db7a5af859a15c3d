"""Runs whose options are chosen by the planner where they are not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wopt.component import Component
from wopt.config.model import RunConfig, validate
from wopt.config.shorthand import written_out
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.source import Source
from wopt.particles import Particles
from wopt.plan import (
    Plan,
    alternatives,
    apply,
    choose,
    facts_of,
    measure,
    preprocess_of,
    timed,
)
from wopt.plan.planning import Planning
from wopt.runs.memory import Rows
from wopt.runs.planned_sampler import is_posterior, planned_sampler, wants_plan
from wopt.runs.prepare import Prepared, prepare
from wopt.seeds import derive
from wopt.train.problem import Problem

__all__ = ["prepared_run"]

Ready = tuple[Problem, Particles, Particles]
"""What a plan is tried on."""


def prepared_run(
    table: Mapping[str, Any], where: str = "", listener: Listener = SILENT
) -> Prepared:
    """Return a run that is ready to begin; with a ``plan``, what is not given is chosen.

    The rules choose from facts of the data, then an iteration is timed on this machine, and the
    number of them fits the budget. What was planned is in the resolved configuration, which is not
    planned again.

    Args:
        table: As read from TOML; values may be components too.
        where: The file, for messages.
        listener: Told of what is tried.

    Raises:
        UserError: The configuration, data or parts cannot be used.
    """
    table = written_out(table)
    config = validate(dict(table), where)
    seed = derive(config.seed, "source")
    if is_posterior(config) and wants_plan(config, table):
        return planned_sampler(config, table, where)
    if config.plan is None or config.plan.told:
        return prepare(config, config.source.load(seed))
    given = {**table, "source": _preprocessed(table["source"], config, seed)}
    source = validate(given, where).source
    dataset = source.load(seed)
    facts = facts_of(dataset, config.plan.seconds, role=source.role, seed=config.seed)

    def ready(candidate: Plan) -> Ready:
        prepared = prepare(validate(apply(candidate, given), where), dataset)
        return prepared.problem, prepared.train, prepared.valid

    plans = alternatives(facts)
    if _open(given) and len(plans) > 1:
        best = choose(plans, ready, listener)
    elif _has(given.get("solver"), "iterations"):
        best = plans[0]
    else:
        problem, train, valid = ready(plans[0])
        best = timed(plans[0], measure(problem, train, valid), problem.stop.steps)
    planned = Planning(budget=best.facts.budget, told=best.told)
    return prepare(validate({**apply(best, given), "plan": planned}, where), dataset)


def _open(given: Mapping[str, Any]) -> bool:
    """Whether nothing is given that the planner chooses between by trials."""
    return not any(key in given for key in ("block", "blocks", "solver", "scheme", "stop"))


def _has(value: Any, option: str) -> bool:
    """Whether an option is given: in a table, or by a component, which has all."""
    return isinstance(value, Component) or (isinstance(value, Mapping) and option in value)


def _preprocessed(source: Any, config: RunConfig, seed: int) -> Any:
    """Return the source with the preprocessing that its rows allow, where none is given."""
    if isinstance(source, Rows):
        if source.preprocess != "auto":
            return source
        return source.preprocessed(_of_rows(source.preprocessed("none"), seed))
    if isinstance(source, str):
        source = {"name": source}
    open_ = isinstance(source, Mapping) and "preprocess" not in source
    if not open_ or "preprocess" not in config.source.options or config.source.role == "start":
        return source
    raw = validate({"source": {**source, "preprocess": "none"}}).source
    return {**source, "preprocess": _of_rows(raw, seed)}


def _of_rows(source: Source, seed: int) -> str:
    data = source.load(seed)
    return preprocess_of(len(data.train), data.train[:, : data.dim - data.condition])
