"""Chains of the target beside a run: they are made once and compared with it after every step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import CapabilityError
from wopt.interfaces import Budget, FlowBlock, Target
from wopt.particles import Particles
from wopt.seeds import derive, generator
from wopt.train import Problem, State
from wopt_posterior.chains import Forward, log_density_at, seen_by_chains
from wopt_posterior.reference import POINTS, reference_of
from wopt_posterior.solvers import Chains

JUMP = 4
"""One in so many iterations on chains alone proposes jumps, as drawing from an autoregressive
model takes as long as evaluating its density."""


def forward_of(problem: Problem, state: State, attempt: int) -> Forward | None:
    """Return the chains towards which the next step is trained, where its solver asks for some."""
    solver = problem.solver.of_step(state.step)
    if not solver.chains or not solver.beside_chains:
        return None
    target, start = _parts(problem)
    points = state.chains
    if points is None:
        points = _made(problem, target, state.step, state.valid.particles.dim)
    rng = generator(problem.seed, "chains", state.step + 1, attempt, device=points.device)
    kept = () if problem.scheme.replaces else state.blocks
    before = functools.partial(log_density_at, start, kept)
    if not isinstance(solver, Chains):
        return Forward(target, before, points, rng)
    cost = solver.chains_cost
    if solver.direction == "reverse":
        return Forward(target, before, points, rng, cost)
    return Forward(target, before, points, rng, cost, alone=True, jump=JUMP, needed=True)


@torch.no_grad()
def look(
    problem: Problem, step: int, blocks: Sequence[FlowBlock], moved: Particles, at: Tensor | None
) -> tuple[Tensor | None, float | None]:
    """Return chains, shape ``(m, d)``, and an upper bound of the relative effective size.

    The chains begin as the reference sample, after the first step that asks for chains.

    Args:
        at: The chains, shape ``(m, d)``, or ``None`` if there are none yet.
    """
    if not problem.solver.of_step(step - 1).chains:
        return at, None
    target, start = _parts(problem)
    if at is None:
        at = _made(problem, target, step, moved.dim)
    of_chains = -target.potential(at) - log_density_at(start, blocks, at)
    of_draws = -target.potential(moved.points) - moved.log_density
    of_draws = torch.where(of_draws.isfinite(), of_draws, -torch.inf)
    return at, seen_by_chains(of_chains, of_draws)


def _made(problem: Problem, target: Target, step: int, dim: int) -> Tensor:
    """Return points of the target's reference sample."""
    count = max(problem.solver.of_step(k).chains for k in (step - 1, step) if k >= 0)
    found = problem.reference
    if found is None:
        passes, key = max(1, count // POINTS), derive(problem.seed, "reference")
        found = reference_of(target, dim, key, Budget(), passes)
    return found.drawn(count, generator(problem.seed, "drawn")).points


def _parts(problem: Problem) -> tuple[Target, Callable[[Tensor], Tensor]]:
    target, start = problem.objective.target, problem.log_density
    if target is None or Capability.POTENTIAL not in target.provides or start is None:
        raise CapabilityError(
            "solver.chains needs a target with a potential and a start whose density is known; "
            "leave it out"
        )
    return target, start
