"""Runs with a directory: begun, resumed, and every step kept."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wopt.component import name_of
from wopt.config.model import RunConfig, to_table, validate
from wopt.data.dataset import Dataset
from wopt.errors import CapabilityError, ConfigError, UserError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener, Listeners
from wopt.interfaces.measurement import Watch
from wopt.mapped import memmap_scope
from wopt.parallel import Team
from wopt.parallel.launch import by_first, launched, of_first, restarted, told_by_first
from wopt.runs.building import build
from wopt.runs.loading import check_data, remember_data
from wopt.runs.log import LossLog, RunLog, versions
from wopt.runs.loop import make_steps
from wopt.runs.measured import automatic
from wopt.runs.preparation import Prepared
from wopt.runs.progress import permitted, with_tracker
from wopt.runs.results import RunClock, finish
from wopt.runs.threads import training_threads, with_threads
from wopt.runtime import Runtime
from wopt.sharded import held
from wopt.store.checkpoint import load_state, save_share, save_state, save_transform, settle
from wopt.store.directory import RunDirectory
from wopt.store.result import RunResult
from wopt.train.problem import State

__all__ = ["begin", "hold", "resume", "run_config", "run_table"]

_GO_ON = "go on with `wopt resume {}`"


def run_table(table: Mapping[str, Any], where: str, out: Path, listener: Listener) -> RunResult:
    """Make a run of a table as read from TOML; one that torchrun restarts is resumed."""
    config = validate(dict(table), where)
    clock = RunClock(report=True)
    with _computing(config, out) as runtime:
        listener = listener if runtime.team.first else SILENT
        listener.phase("reading the data, choosing options")
        if restarted() and RunDirectory(out).state.exists():
            return _resumed(out, listener, clock, runtime)
        return _begun(_planned(config, table, where, listener, runtime), out, listener, clock)


def _planned(
    config: RunConfig, table: Mapping[str, Any], where: str, listener: Listener, runtime: Runtime
) -> Prepared:
    """Return the run on every process; the first process plans, since trials use a clock."""
    if runtime.team.size == 1 or config.plan is None or config.plan.told:
        return build(table, where=where, listener=listener, runtime=runtime)
    known: list[Prepared] = []

    def plan() -> str:
        known.append(build(table, where=where, listener=listener, runtime=runtime.alone))
        return json.dumps(to_table(known[0].config))

    planned = json.loads(told_by_first(runtime.team, "plan", plan))
    made = known[0] if known else build(validate(planned, where), runtime=runtime)
    # The others do not have the map of the first one's trial, so all train it anew, together.
    return dataclasses.replace(made, runtime=runtime, begun=None)


def run_config(
    config: RunConfig, out: Path, listener: Listener = SILENT, *, report: bool = True
) -> RunResult:
    """Make a run of a validated configuration, see :func:`begin`."""
    clock = RunClock(report)
    with _computing(config, out) as runtime:
        return _begun(build(config, runtime=runtime), out, listener, clock)


def begin(
    problem: Prepared, out: Path, listener: Listener = SILENT, *, report: bool = True
) -> RunResult:
    """Make a run in a new directory and return its result, as in ``result.json``.

    Args:
        problem: The run, ready to begin.
        out: The run directory, which must not hold a run yet.
        listener: Receives messages on progress.
        report: Whether to write the page, which `wopt report` can do later.

    Raises:
        UserError: The configuration, data or parts cannot be used; nothing is written then.
    """
    clock = RunClock(report)
    with _computing(problem.config, out) as runtime:
        problem = dataclasses.replace(problem, runtime=dataclasses.replace(runtime, by_rows=False))
        return _begun(problem, out, listener, clock)


def _begun(problem: Prepared, out: Path, listener: Listener, clock: RunClock) -> RunResult:
    problem = with_threads(problem)
    config, directory = problem.config, RunDirectory(out)
    for measurement in automatic(config):
        measurement.check(problem)
    model = "push_forward" if problem.pushes else "pull_back"
    table = to_table(config) | {"model": model, "versions": versions()}
    _check_readable(table, out)
    problem = hold(problem)
    with _claimed(directory, problem.runtime.team, new=True):
        by_first(problem.runtime.team, lambda: directory.create(table))
        return _made(directory, problem, _first(directory, problem), listener, clock)


def resume(out: Path, listener: Listener = SILENT, *, report: bool = True) -> RunResult:
    """Continue from the last finished step, with the same bits (CPU) as an unbroken run.

    For a finished run, only results and report are written again.

    Raises:
        BusyError: Another process is making the run.
        DamagedError: The directory is damaged.
        UserError: The run does not exist, or its data are missing or changed.
    """
    clock, directory = RunClock(report), RunDirectory(out)
    config = validate(directory.read_config(), str(directory.config))
    with _computing(config, out) as runtime:
        return _resumed(out, listener, clock, runtime)


def _resumed(out: Path, listener: Listener, clock: RunClock, runtime: Runtime) -> RunResult:
    directory, team = RunDirectory(out), runtime.team
    config = validate(directory.read_config(), str(directory.config))
    with _claimed(directory, team):
        problem = build(config, runtime=runtime)
        # The first process has all rows, whatever the others hold.
        loaded = problem.loaded or _dataset(problem)
        changed = of_first(team, lambda: check_data(directory, config.source, loaded))
        problem = dataclasses.replace(
            hold(problem), config=permitted(config, listener, directory.config)
        )
        if team.agreed(directory.begun):
            shape = problem.train.dim, problem.train.condition
            state = load_state(directory, config, *shape, problem.start, runtime)
            for block in state.blocks:
                block.precision = problem.runtime.precision
            by_first(team, lambda: settle(directory, config))
        else:  # the run was killed before its first state was written
            state = _first(directory, problem)
        return _made(directory, problem, state, listener, clock, changed)


def _made(
    directory: RunDirectory,
    problem: Prepared,
    state: State,
    listener: Listener,
    clock: RunClock,
    changed: str | None = None,
) -> RunResult:
    """Make the steps with the team; the first process measures and writes the results."""
    team, advice = problem.runtime.team, _GO_ON.format(directory.path)
    saver = _Saver(directory, problem)
    if not team.first:
        with team.noting():
            ended = make_steps(problem, state, SILENT, go_on=advice, keepers=[saver])
        return RunResult(ended.status, ended.reason, len(ended.state.blocks))
    log = RunLog(directory.log)
    listener = with_tracker(Listeners([log, listener]), problem.config.tracker)
    losses = LossLog(directory.losses)
    if changed is not None:
        listener.warn(changed)
    about = ", ".join(f"{name} {version}" for name, version in versions().items())
    log.write(f"begins at step {state.step + 1} with {about}")
    clock.before = state.records
    looking = (m.watch(directory, problem) for m in automatic(problem.config))
    watches = [_Watching(watch, state) for watch in looking if watch is not None]
    with team.noting():
        keepers = [losses, saver, *watches]
        ended = make_steps(problem, state, listener, go_on=advice, keepers=keepers)
    problem, ended = problem.alone, dataclasses.replace(ended, state=ended.state.alone)
    with training_threads(problem.config):
        seen = {
            key: value for each in watches for key, value in each.watch.end(ended.state).items()
        }
        notes = () if changed is None else (changed,)
        return finish(problem, ended, directory, listener, log.write, clock, notes, seen)


class _Saver(Listener):
    """Saves every state: its own rows on each process, the rest on the first."""

    def __init__(self, directory: RunDirectory, problem: Prepared) -> None:
        self.directory, self.problem = directory, problem

    def stepped(self, state: State) -> None:
        save_share(self.directory, state)
        if self.problem.runtime.team.first:
            save_state(self.directory, state, self.problem.config)


class _Watching(Listener):
    """Shows a measurement every state, and the one that a run begins from."""

    def __init__(self, watch: Watch, state: State) -> None:
        self.watch = watch
        watch.see(state)

    def stepped(self, state: State) -> None:
        self.watch.see(state)


def _first(directory: RunDirectory, problem: Prepared) -> State:
    """Write the files of a run's beginning, and return the state before the first step."""
    data = _dataset(problem)

    def write() -> None:
        remember_data(directory, problem.config.source, problem.loaded or data)
        save_transform(directory, data.transform, data.names, problem.conditions)

    by_first(problem.runtime.team, write)
    state = problem.begin()
    by_first(problem.runtime.team, lambda: save_state(directory, state, problem.config))
    return state


@contextlib.contextmanager
def _claimed(directory: RunDirectory, team: Team, *, new: bool = False) -> Iterator[None]:
    """Keep processes of other runs from writing here."""
    with contextlib.ExitStack() as held:

        def claim() -> None:
            if new:
                directory.check_free()
                directory.check_links()
                directory.make()
            held.enter_context(directory.lock())

        by_first(team, claim)
        yield


def _check_readable(table: dict[str, Any], out: Path) -> None:
    """Raise if the configuration cannot be written to a file, so that no run could be read back."""
    try:
        validate(table)
    except UserError as error:
        raise ConfigError(
            f"{out}: a run is read back from its config.toml, which cannot hold this one: {error}. "
            "Without a run directory it can be made: wopt.solve, and wopt.sample for a posterior"
        ) from None


@contextlib.contextmanager
def _computing(config: RunConfig, out: Path) -> Iterator[Runtime]:
    """Yield what computes a run: its processes, joined inside, and its memory."""
    run, folder = config.run, RunDirectory(out).particles
    # The other processes end while the first still measures.
    with (
        launched(run.timeout, config.device) as of,
        memmap_scope(folder, run.memory, passing=of.first) as memory,
    ):
        yield Runtime(of, memory, _by_shard(config, of), run.precision, run.compile)


def _by_shard(config: RunConfig, of: Team) -> bool:
    """Return whether processes load only their own training rows: no plan needs all of them."""
    planned = config.plan is not None and not config.plan.told
    return config.run.hold == "shard" and of.size > 1 and not planned and not config.smooth_time


def hold(prepared: Prepared) -> Prepared:
    """Return the run with only the training particles that ``run.hold`` assigns to this process.

    The first process keeps the source's rows, for measuring; the others keep a few.
    """
    config = prepared.config
    if config.run.hold == "all":
        return prepared
    for what, why in _needs_all(config, len(prepared.train)):
        raise CapabilityError(
            f'run.hold = "shard": {what} {why}, and no process has all of them; set run.hold = '
            '"all", or choose another'
        )
    of = prepared.runtime.team
    if of.size == 1:
        return prepared
    start = held(prepared.train, of), prepared.valid
    made = dataclasses.replace(prepared, draw=None, start=start)
    data = made.dataset
    if of.first or data is None:
        return made
    few = {name: getattr(data, name)[:2].clone() for name in ("train", "valid", "test")}
    return dataclasses.replace(made, dataset=dataclasses.replace(data, **few), loaded=None)


def _needs_all(config: RunConfig, n: int) -> list[tuple[str, str]]:
    """Return the options that need all particles, and why."""
    found = []
    if not config.scheme.by_row:
        found.append((f"scheme {name_of(config.scheme)}", "looks at all training particles"))
    for spec in config.block_specs:
        if spec.cls.initialise is not FlowBlock.initialise:  # type: ignore[attr-defined]
            name = host().registry.name_of("block", spec.cls)
            found.append((f"block {name}", "is made for all training particles"))
    for solver in config.solver.each:
        if not solver.on_batches:
            found.append((f"solver {name_of(solver)}", "trains on all particles"))
        if solver.batch_size >= n:
            found.append((f"solver.batch_size = {solver.batch_size}", f"asks for all {n} rows"))
        if solver.fresh or solver.chains:
            found.append((f"solver.{'fresh' if solver.fresh else 'chains'}", "draws among all"))
    if config.refine.iterations:
        found.append(("[refine]", "carries all particles from the start again"))
    return found


def _dataset(problem: Prepared) -> Dataset:
    """Return the data, which every run with a directory has."""
    assert problem.dataset is not None
    return problem.dataset
