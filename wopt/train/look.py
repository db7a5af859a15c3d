"""Chains of the target after a step: where they are, and what they see of the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock
from wopt.seeds import generator
from wopt.train.attempt import Accepted
from wopt.train.chains import annealed, log_density_at, seen_by_chains
from wopt.train.problem import Problem, State

__all__ = ["look"]


@torch.no_grad()
def look(
    problem: Problem, state: State, made: Accepted, blocks: Sequence[FlowBlock]
) -> tuple[Tensor | None, float | None]:
    """Return where chains are, and the most that an effective share of weights can be by them.

    After the first step that asks for chains they are made, from what it reached.

    Args:
        problem: What is minimised and how.
        state: Before the step.
        made: The step.
        blocks: All maps, with that of the step.

    Raises:
        CapabilityError: The target has no potential, or the start's density is not known.
    """
    count, target = problem.solver.of_step(state.step).chains, problem.objective.target
    if not count:
        return state.chains, None
    if target is None or Capability.POTENTIAL not in target.provides or not problem.log_density:
        raise CapabilityError(
            "solver.chains needs a target with a potential and a start whose density is known; "
            "leave it out"
        )
    moved = made.verdict.moved
    chains = made.chains if made.chains is not None else state.chains
    if chains is None:
        chance = generator(problem.seed, "anneal", state.step + 1)
        chains = annealed(target, moved.points.double(), count, chance)
    of_chains = -target.potential(chains) - log_density_at(problem.log_density, blocks, chains)
    of_draws = -target.potential(moved.points) - moved.log_density
    of_draws = torch.where(of_draws.isfinite(), of_draws, -torch.inf)
    return chains, seen_by_chains(of_chains, of_draws)
