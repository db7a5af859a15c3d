"""Runs whose options are chosen by the planner where they are not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wopt.component import Component
from wopt.config.model import RunConfig, validate
from wopt.config.shorthand import written_out
from wopt.interfaces.source import Source
from wopt.plan import apply, facts_of, measure, plan, preprocess_of, timed
from wopt.plan.planning import Planning
from wopt.runs.memory import Rows
from wopt.runs.planned_sampler import is_posterior, planned_sampler, wants_plan
from wopt.runs.prepare import Prepared, prepare
from wopt.seeds import derive

__all__ = ["prepared_run"]


def prepared_run(table: Mapping[str, Any], where: str = "") -> Prepared:
    """Return a run that is ready to begin; with a ``plan``, what is not given is chosen.

    The rules choose from facts of the data, then an iteration is timed on this machine, and the
    number of them fits the budget. What was planned is in the resolved configuration, which is not
    planned again.

    Args:
        table: As read from TOML; values may be components too.
        where: The file, for messages.

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
    chosen = plan(facts)
    prepared = prepare(validate(apply(chosen, given), where), dataset)
    if not _has(given.get("solver"), "iterations"):
        steps = prepared.problem.stop.steps
        chosen = timed(chosen, measure(prepared.problem, prepared.train, prepared.valid), steps)
    planned = Planning(budget=chosen.facts.budget, told=chosen.told)
    return prepare(validate({**apply(chosen, given), "plan": planned}, where), dataset)


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
