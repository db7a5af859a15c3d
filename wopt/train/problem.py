"""A solve and its position: problem, state, traces."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from wopt.component import Spec
from wopt.errors import ConfigError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener, Listeners
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import History, ProximalScheme
from wopt.interfaces.solver import Solver
from wopt.interfaces.subproblem import Subproblem
from wopt.origin import check_returned
from wopt.particles import Particles
from wopt.push import push
from wopt.runtime import ALONE, Runtime
from wopt.seeds import generator
from wopt.train.guard import Guard
from wopt.train.options import Refinement
from wopt.train.record import StepRecord
from wopt.train.solvers import Adam
from wopt.train.stop import Stop, elapsed, landed

Choice = Spec | FlowBlock
"""A block's class with its options, or a block to copy."""


@dataclasses.dataclass(frozen=True)
class ParticleHistory:
    """The particles of one split with the short history that schemes look back on.

    Attributes:
        before: The particles before the map ``ahead``, if there is one.
        previous: Points before the last step, shape ``(n, d)``, or ``None``.
        gradient: Gradient of the objective there, shape ``(n, d)``, as the scheme needs it, or
            ``None``.
        ahead: A map that moves the particles when they are first used.
        runtime: What computes their images.
    """

    before: Particles
    previous: Tensor | None = None
    gradient: Tensor | None = None
    ahead: FlowBlock | None = None
    runtime: Runtime = ALONE

    @functools.cached_property
    def particles(self) -> Particles:
        """The particles where they stand."""
        return self.before if self.ahead is None else self._pushed(self.ahead, self.before)

    def _pushed(self, block: FlowBlock, particles: Particles) -> Particles:
        return push(block, particles, runtime=self.runtime)

    @property
    def alone(self) -> ParticleHistory:
        """The particles that this process holds, without messages to others."""
        return dataclasses.replace(self, before=self.before.own, runtime=self.runtime.alone)

    def first(self, rows: int) -> Particles:
        """Return the first ``rows`` particles at their current place."""
        few = self.before.rows(slice(rows))
        return few if self.ahead is None else self._pushed(self.ahead, few)

    def history(
        self,
        step: int,
        step_size: float,
        previous_step_size: float | None,
        plan: Mapping[str, float],
        start: Particles | None = None,
        log_density: Callable[[Tensor], Tensor] | None = None,
    ) -> History:
        """Return the history, of points ``(n, d)``, that a scheme may use for a step."""
        past = self.particles, self.previous, self.gradient
        known = *past, step, step_size, previous_step_size, plan
        return History(*known, start=start, log_density=log_density)

    def after(
        self,
        scheme: ProximalScheme,
        objective: Objective,
        subproblem: Subproblem | None,
        moved: Particles,
    ) -> ParticleHistory:
        """Return the moved particles with the history for the next step."""
        if not scheme.looks_back:
            return ParticleHistory(moved, runtime=self.runtime)
        gradient = None if subproblem is None else subproblem.gradient(objective, moved)
        return ParticleHistory(moved, self.particles.points, gradient, runtime=self.runtime)

    def carried(
        self,
        scheme: ProximalScheme,
        objective: Objective,
        subproblem: Subproblem,
        block: FlowBlock,
    ) -> ParticleHistory:
        """Return the particles after a map, which moves them when they are first used."""
        at = subproblem.particles if scheme.replaces else self.particles
        if scheme.looks_back:
            return self.after(scheme, objective, subproblem, self._pushed(block, at))
        return ParticleHistory(at, ahead=block, runtime=self.runtime)


@dataclasses.dataclass(frozen=True, repr=False)
class State:
    """Everything that the next step needs and that a checkpoint holds.

    Attributes:
        step: Number of steps made.
        train: The training particles.
        valid: The held-out particles, moved by audited maps.
        step_size: h of the last step.
        energy: The objective at the held-out particles.
        blocks: The maps so far.
        records: The records so far, for the stop rules.
        plan: Numbers that the scheme planned for the last step.
        start: The training and the held-out particles before the first step, for joint refinement
            of all maps.
        chains: Metropolis chains of the target, shape ``(m, d)``, or ``None``.
    """

    step: int
    train: ParticleHistory
    valid: ParticleHistory
    step_size: float | None
    energy: float
    blocks: tuple[FlowBlock, ...]
    records: tuple[StepRecord, ...] = ()
    plan: Mapping[str, float] = dataclasses.field(default_factory=dict)
    start: tuple[Particles, Particles] | None = None
    chains: Tensor | None = None

    def __repr__(self) -> str:
        particles = self.train.before
        return f"State(after {self.step} step(s), energy {self.energy:.6g}; {particles})"

    @property
    def block(self) -> FlowBlock | None:
        """The map of the last step, for warm starts."""
        return self.blocks[-1] if self.blocks else None

    @property
    def alone(self) -> State:
        """The state with the particles that this process holds, without messages to others."""
        if self.valid.runtime.team.size == 1:
            return self
        start = None if self.start is None else (self.start[0].own, self.start[1].own)
        return dataclasses.replace(
            self, train=self.train.alone, valid=self.valid.alone, start=start
        )

    def histories(
        self,
        step_size: float,
        plan: Mapping[str, float],
        log_density: Callable[[Tensor], Tensor] | None = None,
    ) -> list[History]:
        """Return the past of both splits, points ``(n, d)``, for a scheme's next step of size h."""
        about = self.step, step_size, self.step_size, plan
        starts = self.start or (None, None)
        both = zip((self.train, self.valid), starts, strict=True)
        return [of.history(*about, at, log_density) for of, at in both]

    def stopped(self, reason: str | None) -> State:
        """Return the state with a reason to stop, or ``None``, in its last record."""
        last = dataclasses.replace(self.records[-1], stop=reason)
        return dataclasses.replace(self, records=(*self.records[:-1], last))


@dataclasses.dataclass(frozen=True)
class Problem:
    """What to minimise, how to step, and with which maps.

    Attributes:
        objective: The objective G.
        scheme: The scheme of the steps.
        block: A block's choice, or a new block to copy for every step; or one of these for each of
            the first steps, of which the last is used for all later ones.
        solver: Minimises the subproblem.
        guard: Accepts or rejects a finished step.
        stop: When to stop.
        seed: Seed of all random numbers; the same seed gives the same run.
        log_det: log |det| of the preprocessing, in nats, for likelihoods in the data's units;
            ``None`` if the particles are not data.
        refine: Options of joint training of all maps.
        draw: Draws new training particles at the start, where the source can be sampled.
        log_density: Log-density of the start, ``(n, d)`` to ``(n,)``, nats, where it is known.
        times: Times at which steps end, so that particles can be kept there.
        reference: What a planner found of the target, where chains begin; a plugin's object.
        start: The training and the held-out particles before the first step.
        listeners: They receive the progress of the work, and the state after every step.
        runtime: What computes it: processes, memory, precision.
        begun: Returns the first step's map after the first schedules of its solver, and the
            iterations in their parts, where trials have made them already.
    """

    objective: Objective
    scheme: ProximalScheme
    block: Choice | Sequence[Choice]
    solver: Solver = dataclasses.field(default_factory=Adam)
    guard: Guard = dataclasses.field(default_factory=Guard)
    stop: Stop = dataclasses.field(default_factory=Stop)
    seed: int = 0
    log_det: float | None = 0.0
    refine: Refinement = dataclasses.field(default_factory=Refinement)
    draw: Callable[[int, torch.Generator], Particles] | None = None
    log_density: Callable[[Tensor], Tensor] | None = None
    times: tuple[float, ...] = ()
    reference: Any = None
    start: tuple[Particles, Particles] | None = None
    listeners: tuple[Listener, ...] = ()
    runtime: Runtime = ALONE
    begun: Callable[[], tuple[FlowBlock, tuple[tuple[int, ...], ...]]] | None = None

    @property
    def ends(self) -> tuple[float, ...]:
        """The times at which a step is to end."""
        return self.times if self.stop.time is None else (*self.times, self.stop.time)

    def block_of(self, step: int) -> Choice:
        """Return the choice for a step with index 0, 1, ..."""
        if isinstance(self.block, Spec | FlowBlock):
            return self.block
        return self.block[min(step, len(self.block) - 1)]

    def chains(self, step: int) -> Any:
        """Return the plugin of chains of the target; ``None`` where a step asks for none."""
        asked = self.solver.of_step(step).chains
        return host().registry.function("chains") if asked else None

    def pending(self, state: State) -> bool:
        """Whether maps have to be refined before the run ends or makes the next step."""
        asked = self.refine.iterations or self.refine.respace
        if not asked or len(state.blocks) < 2 or state.records[-1].refined:
            return False
        return self.refine.when == "each" or bool(self.stop.reason(state.records))

    def __post_init__(self) -> None:
        # All held-out energies of a run are at one draw, so that they can be compared.
        object.__setattr__(self, "objective", self.objective.at(self.held_out))

    @property
    def held_out(self) -> int:
        """The key of the draw at which the objective is evaluated on held-out particles."""
        return next(self.draws("held_out"))

    @property
    def alone(self) -> Self:
        """The problem with the particles that this process holds, without messages to others."""
        if self.runtime.team.size == 1:
            return self
        start = None if self.start is None else (self.start[0].own, self.start[1].own)
        return dataclasses.replace(self, start=start, runtime=self.runtime.alone)

    @property
    def listener(self) -> Listener:
        """All listeners as one."""
        return Listeners(self.listeners)

    def begin(self, train: Particles | None = None, valid: Particles | None = None) -> State:
        """Return the state before the first step.

        Args:
            train: The training particles; by default those of ``start``.
            valid: The held-out particles; by default ``train`` serves as both.

        Raises:
            ConfigError: There are no particles.
        """
        if train is None:
            if self.start is None:
                raise ConfigError("a problem begins at particles: give them, or the field `start`")
            train, valid = self.start
        held_out = train if valid is None else valid
        with torch.no_grad():
            energy = float(self.objective.energy(held_out))
        return State(
            0,
            ParticleHistory(train, runtime=self.runtime),
            ParticleHistory(held_out, runtime=self.runtime),
            None,
            energy,
            (),
            start=(train, held_out),
        )

    def step_size(self, state: State) -> float:
        """Return h of the next step, shortened where it would pass a time that steps end at."""
        rule = self.scheme.step_size
        h = landed(rule(state.step, state.step_size), elapsed(state.records), self.ends)
        if not 0 < h < math.inf:
            check_returned(rule, "__call__", h, "a positive finite number")
        return h

    def draws(self, *key: str | int) -> Iterator[int]:
        """Yield the keys of a stochastic objective's draws for one purpose.

        They are a function of the seed and the purpose only, so that nothing depends on the past.
        """
        rng = generator(self.seed, "objective", *key)
        while True:
            yield int(torch.randint(2**62, (), generator=rng))
