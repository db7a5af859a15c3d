"""Runs with a directory: begun, resumed, and every step kept."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wopt.component import name_of
from wopt.config.model import RunConfig, to_table, validate
from wopt.data.dataset import Dataset
from wopt.errors import CapabilityError, ConfigError, UserError
from wopt.host import host
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.listener import SILENT, Listener, Listeners
from wopt.interfaces.measurement import Watch
from wopt.mapped import memmap_scope
from wopt.parallel.launch import by_first, launched, restarted, told_by_first
from wopt.runs.building import build_problem
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

Table = Mapping[str, Any]


def run_config(
    config: RunConfig | Table,
    out: Path,
    listener: Listener = SILENT,
    *,
    where: str = "",
    report: bool = True,
) -> RunResult:
    """Make a run of a configuration, or of a table as read from a file ``where``.

    What torchrun restarts is resumed. For the rest see :func:`begin`.
    """
    known = config if isinstance(config, RunConfig) else validate(dict(config), where)
    with _making(known, out, listener, report) as run:
        run.listener.phase("reading the data, choosing options")
        if restarted() and run.directory.state.exists():
            return run.resumed()
        by_first(run.runtime.team, run.directory.check_free)  # planning takes minutes
        return run.begun(_planned(known, config, where, run))


def begin(
    problem: Prepared, out: Path, listener: Listener = SILENT, *, report: bool = True
) -> RunResult:
    """Make a run in a new directory and return its result, as in ``result.json``.

    Args:
        problem: The run, ready to begin.
        out: The run directory, which must not hold a run yet.
        listener: Receives messages on progress.
        report: Whether to write the page, which `wopt report` can do later.
    """
    with _making(problem.config, out, listener, report) as run:
        runtime = dataclasses.replace(run.runtime, by_rows=False)
        return run.begun(dataclasses.replace(problem, runtime=runtime))


def resume(out: Path, listener: Listener = SILENT, *, report: bool = True) -> RunResult:
    """Continue from the last finished step, with the same bits (CPU) as an unbroken run.

    For a finished run, only results and report are written again.

    Raises:
        BusyError: Another process is making the run.
        DamagedError: The directory is damaged.
        UserError: The run does not exist, or its data are missing or changed.
    """
    directory = RunDirectory(out)
    config = validate(directory.read_config(), str(directory.config))
    with _making(config, out, listener, report) as run:
        return run.resumed()


@contextlib.contextmanager
def _making(config: RunConfig, out: Path, listener: Listener, report: bool) -> Iterator[_Making]:
    """Yield a run that is to be made, with its processes, joined inside, and its memory."""
    run, directory, clock = config.run, RunDirectory(out), RunClock(report)
    # The other processes end while the first still measures.
    with (
        launched(run.timeout, config.device) as of,
        memmap_scope(directory.particles, run.memory, passing=of.first) as memory,
    ):
        # Each process loads its own training rows alone, where no plan needs all of them.
        planned = config.plan is not None and not config.plan.summary
        by_rows = run.hold == "shard" and of.size > 1 and not planned and not config.smooth_time
        runtime = Runtime(of, memory, by_rows, run.precision, run.compile)
        yield _Making(directory, listener if of.first else SILENT, clock, runtime)


def _planned(known: RunConfig, config: RunConfig | Table, where: str, run: _Making) -> Prepared:
    """Return the run on every process; the first process plans, since trials use a clock."""
    runtime = run.runtime
    if runtime.team.size == 1 or known.plan is None or known.plan.summary:
        return build_problem(config, where=where, listener=run.listener, runtime=runtime)
    found: list[Prepared] = []

    def plan() -> str:
        found.append(
            build_problem(config, where=where, listener=run.listener, runtime=runtime.alone)
        )
        return json.dumps(to_table(found[0].config))

    planned = json.loads(told_by_first(runtime.team, "plan", plan))
    made = found[0] if found else build_problem(validate(planned, where), runtime=runtime)
    return dataclasses.replace(made, runtime=runtime, begun=_shared(made, runtime))


def _shared(made: Prepared, runtime: Runtime) -> Any:
    """Return what the first process's trials have made, on every process."""
    begun = made.begun() if runtime.team.first and made.begun is not None else None
    counts = runtime.team.agreed(None if begun is None else begun[1])
    if counts is None:
        return None
    sizes = made.train.dim, made.train.condition
    block = new_block(made.config.block_specs[0], *sizes) if begun is None else begun[0]
    runtime.team.same(list(block.to(made.train.points).state_dict().values()))
    return functools.partial(tuple, (block.freeze(), counts))


@dataclasses.dataclass(frozen=True)
class _Making:
    """A run that is made in a directory: who hears of it, its clock, and what computes it."""

    directory: RunDirectory
    listener: Listener
    clock: RunClock
    runtime: Runtime

    def begun(self, problem: Prepared) -> RunResult:
        """Make the run of a problem from its first step."""
        problem = with_threads(problem)
        for measurement in automatic(problem.config):
            measurement.check(problem)
        model = "push_forward" if problem.pushes else "pull_back"
        table = to_table(problem.config) | {"model": model, "versions": versions()}
        _check_readable(table, self.directory.path)
        problem = hold(problem)
        with self._claimed(new=True):
            by_first(self.runtime.team, lambda: self.directory.create(table))
            return self._made(problem, self._first(problem))

    def resumed(self) -> RunResult:
        """Continue the run that is in the directory."""
        directory, team = self.directory, self.runtime.team
        config = validate(directory.read_config(), str(directory.config))
        with self._claimed():
            problem = build_problem(config, runtime=self.runtime)
            # The first process has all rows, whatever the others hold.
            loaded = problem.loaded or _dataset(problem)
            changed = by_first(team, lambda: check_data(directory, config.source, loaded))
            problem = dataclasses.replace(
                hold(problem), config=permitted(config, self.listener, directory.config)
            )
            if team.agreed(directory.begun):
                shape = problem.train.dim, problem.train.condition
                state = load_state(directory, config, *shape, problem.start, self.runtime)
                for block in state.blocks:
                    block.precision = problem.runtime.precision
                by_first(team, lambda: settle(directory, config))
            else:  # the run was killed before its first state was written
                state = self._first(problem)
            return self._made(problem, state, () if changed is None else (changed,))

    @property
    def _advice(self) -> str:
        return f"go on with `wopt resume {self.directory.path}`"

    @contextlib.contextmanager
    def _claimed(self, *, new: bool = False) -> Iterator[None]:
        """Keep processes of other runs from writing here; Ctrl-C tells how to go on."""
        directory = self.directory
        with contextlib.ExitStack() as held:

            def claim() -> None:
                if new:
                    directory.check_free()
                    directory.check_links()
                    directory.make()
                held.enter_context(directory.lock())

            by_first(self.runtime.team, claim)
            try:
                yield
            except KeyboardInterrupt:
                advice = (f"interrupted; {self._advice}",) * directory.config.exists()
                raise KeyboardInterrupt(*advice) from None

    def _first(self, problem: Prepared) -> State:
        """Write the files of a run's beginning, and return the state before the first step."""
        data, directory = _dataset(problem), self.directory

        def write() -> None:
            remember_data(directory, problem.config.source, problem.loaded or data)
            save_transform(directory, data.transform, data.names, problem.conditions)

        by_first(self.runtime.team, write)
        state = problem.begin()
        by_first(self.runtime.team, lambda: save_state(directory, state, problem.config))
        return state

    def _made(self, problem: Prepared, state: State, notes: tuple[str, ...] = ()) -> RunResult:
        """Make the steps with the team; the first process measures and writes the results."""
        directory, team = self.directory, self.runtime.team
        saver, advice = _Saver(directory, problem), self._advice
        if not team.first:
            with team.noting():
                ended = make_steps(problem, state, SILENT, go_on=advice, keepers=[saver])
            return RunResult(ended.status, ended.reason, len(ended.state.blocks))
        log, losses = RunLog(directory.log), LossLog(directory.losses)
        listener = with_tracker(Listeners([log, self.listener]), problem.config.tracker)
        for note in notes:
            listener.warn(note)
        about = ", ".join(f"{name} {version}" for name, version in versions().items())
        log.write(f"begins at step {state.step + 1} with {about}")
        self.clock.before = state.records
        looking = (m.watch(directory, problem) for m in automatic(problem.config))
        watches = [_Watching(watch, state) for watch in looking if watch is not None]
        with team.noting():
            keepers = [losses, saver, *watches]
            ended = make_steps(problem, state, listener, go_on=advice, keepers=keepers)
        problem, ended = problem.alone, dataclasses.replace(ended, state=ended.state.alone)
        with training_threads(problem.config):
            seen = dict[str, Any]()
            for each in watches:
                seen |= each.watch.end(ended.state)
            return finish(problem, ended, directory, listener, log.write, self.clock, notes, seen)


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


def _check_readable(table: dict[str, Any], out: Path) -> None:
    """Raise if the configuration cannot be written to a file, so that no run could be read back."""
    try:
        validate(table)
    except UserError as error:
        raise ConfigError(
            f"{out}: a run is read back from its config.toml, which cannot hold this one: {error}. "
            "Without a run directory it can be made: wopt.solve, and wopt.sample for a posterior"
        ) from None


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
