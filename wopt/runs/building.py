"""From a configuration and rows to the problem of a run, its missing options planned."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

from wopt.component import Component, config_of
from wopt.config.model import RunConfig, validate, written_out
from wopt.data.columns import Columns
from wopt.data.dataset import Dataset
from wopt.data.table_transform import fit_transform
from wopt.data.transform import AffineTransform, How
from wopt.errors import ConfigError, DataError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.source import Source
from wopt.particles import Particles
from wopt.plan import Outcome, Plan, Trial, facts_of, plan, portfolio, race
from wopt.plan.budget import Planning
from wopt.plan.trials import TRIAL, assembled, made_trial
from wopt.runs.memory import Rows
from wopt.runs.preparation import Prepared, from_particles, prepare
from wopt.runs.threads import like, training_threads, with_threads
from wopt.runtime import ALONE, Runtime
from wopt.seeds import derive

Table = Mapping[str, Any]

_ENDS = 0.95
"""Fraction of a budget in which maps are trained: the rest pays for guard and audits."""


def build_problem(
    config: RunConfig | Table,
    rows: Dataset | tuple[Particles, Particles] | None = None,
    *,
    transform: AffineTransform | None = None,
    where: str = "",
    listener: Listener = SILENT,
    runtime: Runtime = ALONE,
) -> Prepared:
    """Return the problem of a run: data, laws and parts, loaded, made and checked once.

    Args:
        config: The options. Those of a table that are not given are chosen if it has a ``plan``:
            where no option of steps is given, candidates race, and training goes on from the
            winner's map. The chosen options are in the resolved configuration.
        rows: The data that the source would load, or training and held-out particles instead.
        transform: The preprocessing that was applied to particles, for the model's units.
        where: The file of the table, for messages.
        listener: Receives messages on planning.
        runtime: What computes the run; its precision is that of the options.

    Raises:
        UserError: The configuration, data or parts cannot be used.

    Example:
        >>> from wopt.train.steps import steps
        >>> problem = build_problem({"source": {"name": "toy", "n_train": 200}, "block": "affine",
        ...     "solver": {"iterations": 20}, "stop": {"steps": 2}})
        >>> [state.step for state in steps(problem)]
        [1, 2]
    """
    if isinstance(rows, tuple):
        table = (
            config if isinstance(config, RunConfig) else {**config, "source": Rows(rows[0].points)}
        )
        return from_particles(_validated(table, where), *rows, transform, runtime)
    if rows is not None:
        return prepare(_validated(config, where), rows, runtime=runtime)
    if isinstance(config, RunConfig):
        return _told(config, where, runtime)
    return _planned(config, where, listener, runtime)


def _validated(config: RunConfig | Table, where: str) -> RunConfig:
    return config if isinstance(config, RunConfig) else validate(dict(config), where)


def _planned(table: Table, where: str, listener: Listener, runtime: Runtime) -> Prepared:
    """Return the run of a table; with a ``plan``, missing options are chosen."""
    table = written_out(table)
    config = validate(dict(table), where)
    for planner in host().registry.functions("planner"):
        prepared: Prepared | None = planner(config, table, where)
        if prepared is not None:
            return prepared
    if config.plan is None or config.plan.summary:
        return _told(config, where, runtime)
    return _Planner(config, table, where, runtime).prepared(listener)


def _told(config: RunConfig, where: str, runtime: Runtime) -> Prepared:
    """Return the run of a configuration without a plan, or after the trials of a plan."""
    prepared = prepare(config, runtime=runtime)
    if config.plan is None or not config.plan.tried:
        return prepared
    again = functools.partial(_tried_again, config, config.plan.tried, where, runtime)
    return dataclasses.replace(prepared, begun=again)


def _tried_again(
    config: RunConfig, tried: Mapping[str, str], where: str, runtime: Runtime
) -> tuple[FlowBlock, tuple[tuple[int, ...], ...]]:
    """Return the map after the trials that a configuration records, and its iterations."""
    given = {k: getattr(config, k) for k in config.model_fields_set if k not in ("plan", *_CHOSEN)}
    if any(" " in name for name in tried):  # candidates chose the preprocessing, too
        given["source"] = _opened(config.source)
    planner = _Planner(config, given, where, runtime)
    plans = {each.name: each for each in portfolio(planner.facts)}
    trials = []
    for key, counts in tried.items():
        name, _, how = key.partition(" ")
        if name not in plans:
            known = ", ".join(plans)
            raise ConfigError(f"plan.tried: no candidate {name!r} is installed; known: {known}")
        plan = dataclasses.replace(plans[name], table={**plans[name].table, "preprocess": how})
        seconds, made = TRIAL * _ENDS * planner.facts.budget, [int(n) for n in counts.split()]
        trials.append(made_trial(plan, planner.made(plan), seconds, made))
    return assembled(config.block_specs[0], [trial for trial in trials if trial is not None])


class _Planner:
    """Makes plans ready: their configuration, data with their preprocessing, and problem."""

    def __init__(
        self, config: RunConfig, given: Mapping[str, Any], where: str, runtime: Runtime
    ) -> None:
        assert config.plan is not None
        self.runtime = runtime
        self.given, self.where, self.smooth = given, where, config.smooth_time > 0
        self.open = _is_open(given["source"], config)
        seed = derive(config.seed, "source")
        if self.open:
            self.how, self.dataset = _loaded(given["source"], seed, runtime)
        else:
            self.how, self.dataset = "", config.source.loaded(seed, runtime)
        self.facts = facts_of(self.dataset, config.plan.seconds, role=config.source.role)
        self._placed: dict[str, tuple[Dataset, tuple[Particles, Particles] | None]] = {
            self.how: (self.dataset, None)
        }

    def prepared(self, listener: Listener) -> Prepared:
        """Return the run of the plan that wins, or of the nearest where options are given."""
        nearest = plan(self.facts)
        first = with_threads(self.made(nearest))
        with training_threads(first.config):
            budget = Budget(_ENDS * self.facts.budget)
            if _has(self.given.get("solver"), "iterations"):
                return like(first, self.made(nearest, decided=True))
            if _free(self.given):
                plans = self._distinct(portfolio(self.facts))
                outcome = race(plans, self.made, budget, listener)
            else:
                steps = first.problem.stop.steps or 4
                outcome = Outcome(nearest, (self.facts.budget * _ENDS / steps,))
        chosen = self.made(outcome.plan, outcome.seconds, True, outcome.trials)
        if outcome.trials:
            begun = functools.partial(assembled, chosen.config.block_specs[0], outcome.trials)
            chosen = dataclasses.replace(chosen, begun=begun)
        return like(first, chosen)

    def made(
        self,
        plan: Plan,
        seconds: tuple[float, ...] = (),
        decided: bool = False,
        trials: Sequence[Trial] = (),
    ) -> Prepared:
        """Return the run of a plan, with schedules of so many CPU seconds after trials."""
        how = self._how(plan)
        table = {**plan.fill(self.given)}
        if self.open:
            table["source"] = _preprocessed(self.given["source"], how)
        if seconds and isinstance(table["solver"], Mapping):
            table["solver"] = {**table["solver"], "seconds": list(seconds)}
        if decided:
            mixed = trials if len(trials) > 1 else ()
            names = (f"{each.plan.name} {self._how(each.plan)}".strip() for each in mixed)
            counts = (" ".join(map(str, each.counts)) for each in mixed)
            tried = dict(zip(names, counts, strict=True)) or None
            table["plan"] = Planning(budget=self.facts.budget, summary=plan.summary, tried=tried)
        dataset, placed = self._placed[how]
        prepared = prepare(validate(table, self.where), dataset, placed, self.runtime)
        self._placed[how] = dataset, (prepared.train, prepared.valid)
        return prepared

    def _distinct(self, plans: list[Plan]) -> list[Plan]:
        """Return the plans without those that differ from one before by their name alone."""
        found: dict[str, Plan] = {}
        for each in plans:
            found.setdefault(repr((self._how(each), each.fill({}))), each)
        return list(found.values())

    def _how(self, plan: Plan) -> str:
        """Return the preprocessing of a plan, or that of the rows if they do not allow it."""
        how = plan.table.get("preprocess", self.how) if self.open else self.how
        if how == "gaussianise" and self.smooth:  # noise is of one size in straight columns alone
            return self.how
        if how not in self._placed:
            transform = self.dataset.transform
            columns = transform.columns or Columns.on_the_line(
                self.dataset.names, self.dataset.condition
            )
            try:
                fitted = fit_transform(self.dataset.train, cast("How", how), columns.straight())
            except DataError:
                return self.how
            bent = fitted.columns is not None and fitted.columns.curves
            if how == "gaussianise" and not bent:
                return self.how
            self._placed[how] = dataclasses.replace(self.dataset, transform=fitted), None
        return how


_CHOSEN = ("block", "blocks", "solver", "scheme", "stop")
"""Options that candidates choose."""


def _free(given: Mapping[str, Any]) -> bool:
    """Return whether no option is given that candidates choose."""
    return not any(key in given for key in _CHOSEN)


def _has(value: Any, option: str) -> bool:
    """Return whether an option is given, in a table or by a component, which has all."""
    return isinstance(value, Component) or (isinstance(value, Mapping) and option in value)


def _loaded(source: Any, seed: int, runtime: Runtime) -> tuple[str, Dataset]:
    """Return the first preprocessing that a source has and its rows allow, and the rows."""
    for how in ("whiten", "standardise"):
        try:
            return how, _source(source, how).loaded(seed, runtime)
        except (ConfigError, DataError):
            pass
    return "none", _source(source, "none").loaded(seed, runtime)


def _is_open(source: Any, config: RunConfig) -> bool:
    """Return whether a source has a preprocessing option that is not given."""
    if isinstance(source, Rows):
        return source.preprocess == "auto"
    given = isinstance(source, Mapping) and "preprocess" in source
    open_ = isinstance(source, str | Mapping) and not given
    return open_ and "preprocess" in config.source.options and config.source.role != "start"


def _preprocessed(source: Any, how: str) -> Any:
    """Return a source with a preprocessing, as in a configuration."""
    if isinstance(source, Rows):
        return source.preprocessed(how)
    table = {"name": source} if isinstance(source, str) else source
    return {**table, "preprocess": how}


def _opened(source: Source) -> Any:
    """Return a source without the preprocessing that a plan has chosen."""
    if isinstance(source, Rows):
        return source.preprocessed("auto")
    return {k: v for k, v in config_of(source).items() if k != "preprocess"}


def _source(source: Any, how: str) -> Source:
    """Return a source with a preprocessing."""
    made = _preprocessed(source, how)
    return made if isinstance(made, Rows) else validate({"source": made}).source
