"""One stage of a step: its subproblem solved on the training particles, judged on the others."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wopt.component import Spec
from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.listener import SILENT, Listener, OfStep
from wopt.interfaces.solver import Solver, SolveReport, Training
from wopt.interfaces.subproblem import Subproblem
from wopt.parallel import Team
from wopt.particles import Particles
from wopt.seeds import derive, seeded
from wopt.stein import affine_residual
from wopt.train.batches import blurred_subproblem
from wopt.train.guard import Verdict
from wopt.train.measure import relative_ess
from wopt.train.problem import ParticleHistory, Problem
from wopt.train.solver import minimise
from wopt.train.wrappers import compiled, spread


@dataclasses.dataclass(frozen=True)
class Stage:
    """One subproblem at the particles of both splits.

    Attributes:
        problem: The objective, the scheme and the other parts of the solve.
        step: Number of steps made before.
        stage: Number of stages of this step made before.
        attempt: How often this step was tried before: each attempt is finer, at half the rate.
        sub: The subproblem at the training particles.
        valid: The same at the held-out particles and the draw of held-out energies.
        listener: Receives progress of the work.
        fresh: Returns the subproblem at new training particles and at the draw of a key.
        forward: Chains of the target, on which the map is also trained.
        made: Schedules of this step so far, by the clock; those made here are added.
    """

    problem: Problem
    step: int
    stage: int
    attempt: int
    sub: Subproblem
    valid: Subproblem
    listener: Listener = SILENT
    fresh: Callable[[int | None], Subproblem] | None = None
    forward: Any = None
    made: list[tuple[int, ...]] = dataclasses.field(default_factory=list)

    def train(self, previous: FlowBlock | None) -> tuple[FlowBlock, SolveReport]:
        """Return a block trained from that of the stage or step before, or from the identity."""
        begun = self.problem.begun
        if begun is not None and not (self.step or self.attempt or self.stage):
            return self._from_trial(*begun())
        with seeded(derive(self.problem.seed, *self.key)):
            block = self._begun(previous)
            report = self._minimise(block)
        return block.freeze(), report

    def go_on(self, block: FlowBlock, number: int) -> tuple[FlowBlock, SolveReport]:
        """Return a copy of a block after more complete schedules, from where it stands.

        Args:
            block: A block trained by the first ``number`` of the solver's schedules. The result is
                the same as if one training had made all (but for particles drawn anew).
            number: Number of schedules made.
        """
        block = copy.deepcopy(block).requires_grad_()
        with seeded(derive(self.problem.seed, *self.key)):
            report = self._minimise(block, number)
        return block.freeze(), report

    def _from_trial(
        self, block: FlowBlock, made: tuple[tuple[int, ...], ...]
    ) -> tuple[FlowBlock, SolveReport]:
        self.made.extend(made)
        block, report = self.go_on(block, len(made))
        return block, dataclasses.replace(
            report, iterations=report.iterations + sum(map(sum, made))
        )

    @property
    def team(self) -> Team:
        """The processes that make the step."""
        return self.problem.runtime.team

    def shared(self, block: FlowBlock) -> FlowBlock:
        """Return a block whose rows these processes map together."""
        return spread(block, self.team)

    @property
    def key(self) -> tuple[str | int, ...]:
        """The key of this training's draws."""
        return "step", self.step + 1, self.attempt, self.stage

    def _begun(self, previous: FlowBlock | None) -> FlowBlock:
        """Return the block that training begins from, finer by one grid an attempt."""
        particles = self.sub.particles
        block = _new_block(self.problem.block_of(self.step), particles)
        block.precision = self.problem.runtime.precision
        block.initialise(*particles.inputs)
        if self.forward is not None:
            block.initialise_images(self.forward.points)
        warm = self.solver.warm_start or self.problem.scheme.replaces
        if previous is not None and warm and _alike(block, previous):
            block.warm_start(previous)
        for _ in range(self.attempt):
            block.refine()
        return block

    @functools.cached_property
    def solver(self) -> Solver:
        """The solver of this step."""
        return self.problem.solver.of_step(self.step)

    def _minimise(self, block: FlowBlock, first: int = 0) -> SolveReport:
        """Train the block in place by the solver's schedules from the number ``first`` on."""
        problem, forward, loss = self.problem, self.forward, _Loss(self)
        if forward is not None and not forward.needed:
            self._relative_ess(block)
        with compiled(block, problem.runtime.compile):
            training = Training(
                block,
                loss,
                len(self.sub.particles),
                rate=0.5**self.attempt,
                before_each=loss.renew,
                held_out=self.held_out,
                listener=OfStep(self.listener, self.step + 1, "training"),
                subproblem=self.sub,
                target=problem.objective.target,
                chains=forward,
                team=self.team,
            )
            report = minimise(
                self.solver,
                training,
                accuracy=self._accuracy,
                relative_ess=self._relative_ess if self.solver.weights is not None else None,
                cost=lambda: 1.0 if forward is None else forward.mean_cost,
                made=self.made,
                first=first,
                begin=loss.begin,
            )
        if not report.diverged:
            self._calibrate(block)
        self.team.same(list(block.state_dict().values()))
        return report

    @torch.no_grad()
    def _calibrate(self, block: FlowBlock) -> None:
        """Let held-out particles correct a trained block, where their loss is less by it."""
        trained = copy.deepcopy(block.state_dict())
        if block.eval().calibrate(*self.valid.particles.inputs):
            value, changed = self.held_out(block), copy.deepcopy(block.state_dict())
            block.load_state_dict(trained)
            if value < self.held_out(block):
                block.load_state_dict(changed)

    def judge(self, block: FlowBlock, *, final: bool) -> tuple[Verdict, list[str]]:
        """Return the guard's verdict, after making the grid finer if only accuracy is lacking.

        Args:
            block: The trained block, which is refined in place.
            final: Whether this is the step's last stage.

        Returns:
            The verdict, and the reason of each refinement of the grid.
        """
        problem, guard = self.problem, self.problem.guard
        self.listener.progress(self.step + 1, "checking", 0, 1, math.nan)
        coarse: list[str] = []
        while True:
            verdict = guard.judge(
                self.valid, problem.objective, block, final=final, runtime=problem.runtime
            )
            if verdict.lacks_decrease and self._gains_at_chains(block, verdict):
                verdict = dataclasses.replace(verdict, lacks_decrease=None)
            lacks = None if verdict.lacks_decrease else verdict.lacks_accuracy
            if lacks is None or len(coarse) == guard.refinements or not block.refine():
                return verdict, coarse
            coarse.append(lacks)

    def _gains_at_chains(self, block: FlowBlock, verdict: Verdict) -> bool:
        """Whether chains gain more log-density by the map than the held-out subproblem rises."""
        # Where draws had lost a mode, KL(q | p) may rise as KL(p | q) falls from infinity.
        forward = self.forward
        if forward is None or not forward.needed or verdict.inversion_error is None:
            return False
        return self.team.agreed(forward.gain(self.shared(block))) > verdict.decrease.value

    @torch.no_grad()
    def held_out(self, block: FlowBlock) -> float:
        """Return the subproblem's value on the held-out particles of the checks."""
        block.eval()
        few = self.solver.check_rows
        value = (self.valid if few is None else self.valid.rows(slice(few))).loss(
            self.shared(block)
        )
        block.train()
        return self.team.agreed(float(value))

    @torch.no_grad()
    def _accuracy(self, block: FlowBlock) -> tuple[float, float] | None:
        """Return the held-out first-order error and the movement per h', if any is implicit."""
        condition = self.valid.stationarity(self.shared(block))
        if condition is None:
            return None
        return self.team.agreed((affine_residual(condition), condition.speed))

    @torch.no_grad()
    def _relative_ess(self, block: FlowBlock) -> float | None:
        """Return the relative effective size of held-out importance weights, or less by chains."""
        shared = self.shared(block)
        fraction = relative_ess(self.problem.objective.target, self.valid.at(shared, audit=True))
        if fraction is None:
            raise CapabilityError(
                "solver.weights needs a start whose density is known, a target with a potential "
                "and blocks with a log-det; leave it out, or use `tolerance`"
            )
        if self.forward is not None:
            fraction = self.forward.renew(shared, self.valid.particles, fraction)
        return self.team.agreed(fraction)


class _Loss:
    """The loss of a stage's block on rows, at the objective's draw of the iteration."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.keys = stage, stage.problem.draws(*stage.key)
        self.key: int | None = None

    def begin(self, schedule: int) -> None:
        """Let the draws of a schedule depend on its number alone, not on those before."""
        problem, key = self.stage.problem, (*self.stage.key, schedule)
        torch.manual_seed(derive(problem.seed, *key))
        self.keys = problem.draws(*key)

    def renew(self) -> None:
        """Draw for the next iteration; before the first one the draw is that of the step."""
        self.key = next(self.keys)

    def __call__(self, block: FlowBlock, rows: Tensor | None) -> Tensor:
        sub, forward, shared = (
            self._subproblem(rows),
            self.stage.forward,
            self.stage.shared(block),
        )
        at_chains = None if forward is None else forward.loss(shared, sub.particles)
        if forward is None or at_chains is None:
            return sub.loss(shared)
        loss: Tensor = at_chains if forward.alone else sub.loss(shared) + at_chains
        return loss

    def _subproblem(self, rows: Tensor | None) -> Subproblem:
        """Return the subproblem on rows, shape ``(m,)``, with the noise of training."""
        stage = self.stage
        if stage.fresh is not None:
            return stage.fresh(self.key)
        sub = stage.sub if self.key is None else stage.sub.drawn(self.key)
        return blurred_subproblem(sub if rows is None else sub.rows(rows), stage.solver.noise)


def _alike(block: FlowBlock, previous: FlowBlock) -> bool:
    """Whether two blocks are of one type and have parameters of the same shapes."""
    shapes = [{k: v.shape for k, v in b.state_dict().items()} for b in (block, previous)]
    return type(block) is type(previous) and shapes[0] == shapes[1]


def _new_block(block: Spec | FlowBlock, like: Particles) -> FlowBlock:
    """Return a new block for particles of this dimension, dtype and device."""
    if isinstance(block, Spec):
        return new_block(block, like.dim, like.condition).to(like.points)
    return copy.deepcopy(block).to(like.points)


def first_of(problem: Problem, particles: Particles) -> Subproblem:
    """Return the subproblem of the first step (its first stage) at particles."""
    scheme, objective = problem.scheme, problem.objective.of_step(0)
    history = ParticleHistory(particles).history(0, scheme.step_size(0, None), None, {})
    history = dataclasses.replace(history, log_density=problem.log_density)
    history = dataclasses.replace(history, plan=scheme.plan(history, objective))
    return scheme.subproblem(history, objective)
