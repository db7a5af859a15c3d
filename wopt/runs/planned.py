"""Runs whose options are chosen by the planner where they are not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from wopt.component import Component
from wopt.config.model import RunConfig, validate, written_out
from wopt.data.dataset import Dataset
from wopt.data.transform import How
from wopt.errors import ConfigError, DataError
from wopt.host import host
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.source import Source
from wopt.particles import Particles
from wopt.plan import (
    Plan,
    alternatives,
    apply,
    bends,
    choose,
    facts_of,
    measure,
    preprocess_of,
    timed,
    without_curves,
)
from wopt.plan.budget import Planning
from wopt.plan.facts import BUDGET
from wopt.runs.memory import Rows
from wopt.runs.preparation import Prepared, prepare
from wopt.runs.threads import like, training_threads, with_threads
from wopt.seeds import derive
from wopt.train.problem import Problem

__all__ = ["prepared_run"]

Ready = tuple[Problem, Particles, Particles]
"""Problem, training and held-out particles of a trial."""

_PLACING, _PLACING_SHARE = 6e-7, 0.05
"""CPU seconds in which a curve is fitted, per value (see docs/benchmarks.md), and the fraction of
a budget that all of them may take."""


def prepared_run(
    table: Mapping[str, Any], where: str = "", listener: Listener = SILENT
) -> Prepared:
    """Return a run that is ready to begin; with a ``plan``, missing options are chosen.

    The rules choose by facts of the data; then an iteration is timed on this machine, and the
    number of iterations fits the budget. The chosen options are in the resolved configuration,
    which is not planned again.

    Args:
        table: Table as read from TOML; values may be components too.
        where: The file, for messages.
        listener: Receives messages on trials.

    Raises:
        UserError: The configuration, data or parts cannot be used.
    """
    table = written_out(table)
    config = validate(dict(table), where)
    seed = derive(config.seed, "source")
    for planner in host().registry.functions("planner"):
        prepared: Prepared | None = planner(config, table, where)
        if prepared is not None:
            return prepared
    if config.plan is None or config.plan.told:
        return prepare(config, config.source.loaded(seed))
    source, dataset = _loaded(table["source"], config, seed)
    given = {**table, "source": source}
    facts = facts_of(dataset, config.plan.seconds, role=config.source.role, seed=config.seed)
    placed: list[Particles] = []

    def made(table: Mapping[str, Any]) -> Prepared:
        at = (placed[0], placed[1]) if placed else None
        prepared = prepare(validate(dict(table), where), dataset, at)
        placed[:] = prepared.train, prepared.valid
        return prepared

    def ready(candidate: Plan) -> Ready:
        prepared = made(apply(candidate, given))
        return prepared.problem, prepared.train, prepared.valid

    plans = alternatives(facts)
    first = with_threads(made(apply(plans[0], given)))
    with training_threads(first.config):
        if _open(given) and len(plans) > 1:
            best = choose(plans, ready, listener)
        elif _has(given.get("solver"), "iterations"):
            best = plans[0]
        else:
            problem, train, valid = ready(plans[0])
            best = timed(plans[0], measure(problem, train, valid), problem.stop.steps or 4)
    planned = Planning(budget=best.facts.budget, told=best.summary)
    return like(first, made({**apply(best, given), "plan": planned}))


def _open(given: Mapping[str, Any]) -> bool:
    """Return whether no option is given that the planner chooses by trials."""
    return not any(key in given for key in ("block", "blocks", "solver", "scheme", "stop"))


def _has(value: Any, option: str) -> bool:
    """Return whether an option is given, in a table or by a component, which has all."""
    return isinstance(value, Component) or (isinstance(value, Mapping) and option in value)


def _loaded(source: Any, config: RunConfig, seed: int) -> tuple[Any, Dataset]:
    """Return the source, if needed with a preprocessing that its rows allow, and its rows."""
    # Gaussianising, which is whitening where no column needs a curve, is tried first: most rows
    # allow it, and they are then read once.
    if not _is_open(source, config):
        return source, config.source.loaded(seed)
    how, dataset = _tried(source, seed)
    moved = dataset.train[:, : dataset.dim - dataset.condition]
    best: How = preprocess_of(len(moved), moved) if how != "none" else "standardise"
    columns = dataset.transform.columns
    if how == "gaussianise" and (columns is None or not columns.curves):
        how = "whiten"
    elif how == "gaussianise" and not config.smooth_time and _whole(best, moved):
        assert config.plan is not None
        quick = moved.numel() * _PLACING <= _PLACING_SHARE * (config.plan.seconds or BUDGET)
        best = "gaussianise" if quick and bends(dataset) else best
    given, chosen = _preprocessed(source, best)
    if how == best:
        return given, dataset
    return given, without_curves(dataset) if best == "whiten" else chosen.load(seed)


def _whole(best: How, moved: Tensor) -> bool:
    """Return whether columns can be whitened, or there is only one."""
    return best == "whiten" or moved.shape[1] == 1


def _tried(source: Any, seed: int) -> tuple[str, Dataset]:
    """Return the first preprocessing that a source has and its rows allow, and the rows."""
    for how in ("gaussianise", "whiten"):
        try:
            return how, _preprocessed(source, how)[1].load(seed)
        except (ConfigError, DataError):
            pass
    return "none", _preprocessed(source, "none")[1].load(seed)


def _is_open(source: Any, config: RunConfig) -> bool:
    """Return whether a source has a preprocessing option that is not given."""
    if isinstance(source, Rows):
        return source.preprocess == "auto"
    given = isinstance(source, Mapping) and "preprocess" in source
    open_ = isinstance(source, str | Mapping) and not given
    return open_ and "preprocess" in config.source.options and config.source.role != "start"


def _preprocessed(source: Any, how: str) -> tuple[Any, Source]:
    """Return a source with a preprocessing, as in a configuration and as a component."""
    if isinstance(source, Rows):
        return (made := source.preprocessed(how)), made
    table = {"name": source} if isinstance(source, str) else source
    given = {**table, "preprocess": how}
    return given, validate({"source": given}).source
