"""Joint refinement: all maps trained together on the sum of their steps' costs."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wopt.clock import Stopwatch
from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import OfStep
from wopt.interfaces.objective import Objective, energy_change
from wopt.interfaces.solver import Training
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.push import push
from wopt.seeds import derive, seeded
from wopt.statistics import Mean
from wopt.train.arc import respaced
from wopt.train.measure import record_of
from wopt.train.problem import ParticleHistory, Problem, State
from wopt.train.record import StepRecord
from wopt.train.solver import minimise
from wopt.train.wrappers import spread

REFINING = "refining all blocks"
"""Name of this work for listeners."""


def refine(problem: Problem, state: State) -> State:
    """Return the state after rounds of equal arc length and joint training of all its maps."""
    options = problem.refine
    if options.iterations:
        check_joint(problem, state)
    ended = bool(problem.stop.reason(state.records))
    rounds = respaced(problem, state) if options.respace and ended else state
    after = _jointly(problem, rounds) if options.iterations else rounds
    if after is not state:
        return after
    # Nothing was accepted; the record says so, or it would be tried again.
    last = dataclasses.replace(state.records[-1], refined=-max(1, options.iterations))
    return dataclasses.replace(state, records=(*state.records[:-1], last))


def _jointly(problem: Problem, state: State) -> State:
    """Return the state after joint training of all its maps, or as it was if that is rejected."""
    # It is guarded as a step is, by the joint value on held-out particles and audited maps.
    watch = Stopwatch()
    assert state.start is not None
    joint = Joint(problem, state.records, problem.objective)
    before = joint.value(state.blocks, state.start[1])
    blocks = _train(problem, joint, state)
    accepted = None if blocks is None else _accept(problem, joint, state, blocks, before)
    if accepted is None:
        return state
    last = accepted.records[-1]
    last = dataclasses.replace(
        last,
        refined=max(0, state.records[-1].refined) + problem.refine.iterations,
        seconds=last.seconds + watch.wall,
        cpu_seconds=last.cpu_seconds + watch.cpu,
    )
    return dataclasses.replace(accepted, records=(*accepted.records[:-1], last))


def check_joint(problem: Problem, state: State) -> None:
    """Raise unless the steps of a state's scheme add up to one problem of all their maps."""
    scheme = problem.scheme
    assert state.start is not None
    history = ParticleHistory(state.start[1]).history(0, state.records[0].step_size, None, {})
    sub = None if scheme.stages > 1 else scheme.subproblem(history, problem.objective.of_step(0))
    if sub is None or not sub.joint or sub.implicit is not problem.objective:
        raise CapabilityError(
            f"the steps of {type(scheme).__name__} do not add up to one problem of all their maps "
            "(some of the objective is explicit, or T is evaluated elsewhere); leave out [refine], "
            "or use jko, bdf2, accelerated, ..."
        )


@dataclasses.dataclass(frozen=True)
class Joint:
    """The sum of the costs of all steps as a function of all maps."""

    problem: Problem
    records: Sequence[StepRecord]
    objective: Objective

    def drawn(self, key: int) -> Joint:
        """Return the same at the objective's draw of a key."""
        return dataclasses.replace(self, objective=self.problem.objective.at(key))

    def path(
        self, blocks: Iterable[FlowBlock], start: Particles, *, audit: bool
    ) -> Iterator[tuple[Subproblem, Particles]]:
        """Yield each step's subproblem and the particles after its map."""
        scheme, objective = self.problem.scheme, self.objective
        runtime = self.problem.runtime
        trace, previous = ParticleHistory(start, runtime=runtime), None
        for block, record in zip(blocks, self.records, strict=True):
            history = trace.history(record.step - 1, record.step_size, previous, record.plan)
            sub = scheme.subproblem(history, objective)
            if audit:
                moved = push(block, sub.particles, audit=True, runtime=runtime)
            elif self.problem.refine.recompute:
                moved = checkpoint(sub.at, spread(block, runtime.team), use_reentrant=False)
            else:
                moved = sub.at(spread(block, runtime.team))
            yield sub, moved
            trace = trace.after(scheme, objective, sub, moved)
            previous = record.step_size

    def loss(self, blocks: Iterable[FlowBlock], start: Particles) -> Tensor:
        """Return the joint value, shape ``()``, differentiable in the parameters of all maps."""
        cost = start.points.new_zeros(len(start))
        moved = start
        for sub, moved in self.path(blocks, start, audit=False):
            cost = cost + sub.cost(moved)
        return self.objective.energy(moved) + start.mean(cost)

    @torch.no_grad()
    def value(self, blocks: Iterable[FlowBlock], start: Particles) -> tuple[Particles, Tensor]:
        """Return the particles after the audited maps, and their summed costs, shape ``(n,)``."""
        cost = start.points.new_zeros(len(start))
        moved = start
        for sub, moved in self.path(blocks, start, audit=True):
            cost = cost + sub.cost(moved)
        return moved, cost

    def change(self, old: tuple[Particles, Tensor], new: tuple[Particles, Tensor]) -> Mean:
        """Return the change of the joint value and its standard error, by costs ``(n,)``."""
        return energy_change(self.objective, old[0], new[0], new[1] - old[1])


def _train(problem: Problem, joint: Joint, state: State) -> list[FlowBlock] | None:
    """Return copies of the maps, trained together; ``None`` if the loss became infinite."""
    assert state.start is not None
    train, valid = state.start
    solver = problem.solver.of_step(state.step).varied(
        iterations=problem.refine.iterations, seconds=None, tolerance=None, relative_tolerance=None
    )
    maps = nn.ModuleList(copy.deepcopy(list(state.blocks))).requires_grad_()
    maps.precision = problem.runtime.precision  # type: ignore[assignment]
    keys, drawn = problem.draws("refine", state.step), [joint]

    def renew() -> None:
        drawn[0] = joint.drawn(next(keys))

    @torch.no_grad()
    def held_out(_: nn.Module) -> float:
        maps.eval()
        value = float(joint.loss(maps, valid))  # type: ignore[arg-type]
        maps.train()
        return problem.runtime.team.agreed(value)

    with seeded(derive(problem.seed, "refine", state.step)):
        training = Training(
            maps,  # type: ignore[arg-type]
            lambda _, rows: drawn[0].loss(maps, train if rows is None else train.rows(rows)),  # type: ignore[arg-type]
            len(train),
            rate=problem.refine.rate,
            before_each=renew,
            held_out=held_out,
            listener=OfStep(problem.listener, state.step, REFINING),
            team=problem.runtime.team,
        )
        report = minimise(solver, training)
    if report.diverged:
        return None
    problem.runtime.team.same(list(maps.state_dict().values()))
    return [block.freeze() for block in maps]  # type: ignore[operator]


def _accept(
    problem: Problem,
    joint: Joint,
    state: State,
    blocks: list[FlowBlock],
    before: tuple[Particles, Tensor],
) -> State | None:
    """Return the state of the new maps, or ``None`` if the guard rejects them."""
    agreed = problem.runtime.team.agreed
    for _ in range(problem.guard.refinements + 1):
        candidate, after = _measured(problem, state, blocks)
        if problem.guard.rises("joint value", agreed(joint.change(before, after))):
            return None
        coarse = [
            block
            for block, record in zip(blocks, candidate.records, strict=True)
            if (record.likelihood_error or 0.0) > problem.guard.likelihood_tolerance
        ]
        if not coarse:
            return candidate
        refined = [block.refine() for block in coarse]
        if not all(refined):
            return None
    return None


def _measured(
    problem: Problem, state: State, blocks: list[FlowBlock]
) -> tuple[State, tuple[Particles, Tensor]]:
    """Return the state of these maps, with new records, and the result of :meth:`Joint.value`."""
    assert state.start is not None
    runtime, previous, energy = problem.runtime, None, None
    traces = [ParticleHistory(part, runtime=runtime) for part in state.start]
    records: list[StepRecord] = []
    paid = state.start[1].points.new_zeros(len(state.start[1]))
    with torch.no_grad():
        energy = float(problem.objective.energy(state.start[1]))
    for block, old in zip(blocks, state.records, strict=True):
        histories = [t.history(old.step - 1, old.step_size, previous, old.plan) for t in traces]
        subs = [problem.scheme.subproblem(past, problem.objective) for past in histories]
        verdict = problem.guard.judge(subs[1], problem.objective, block, runtime=runtime)
        record = record_of(problem, old.step, old.step_size, energy, subs[1], block, verdict)
        keep = ("retries", "attempts", "loss", "iterations", "seconds", "cpu_seconds", "stop")
        kept = {name: getattr(old, name) for name in (*keep, "plan", "refined")}
        records.append(runtime.team.agreed(dataclasses.replace(record, **kept)))
        with torch.no_grad():
            paid = paid + subs[1].cost(verdict.moved)
        parts = problem.scheme, problem.objective
        traces = [
            traces[0].carried(*parts, subs[0], block),
            traces[1].after(*parts, subs[1], verdict.moved),
        ]
        previous, energy = old.step_size, record.energy
    measured = dataclasses.replace(
        state,
        train=traces[0],
        valid=traces[1],
        energy=energy,
        blocks=tuple(blocks),
        records=tuple(records),
    )
    return measured, (traces[1].particles, paid)
