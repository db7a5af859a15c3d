"""Chains of the target beside a run: a plugin brings them where ``solver.chains`` asks for some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.particles import Particles
from wopt.train.problem import Problem, State

__all__ = ["chains_of", "seen_by"]


def chains_of(problem: Problem, state: State, attempt: int) -> Any:
    """Return the chains towards which the next step is trained; ``None`` where none are asked for.

    Args:
        problem: What is minimised and how.
        state: The state before the step.
        attempt: How often the step was tried before.

    Raises:
        PluginError: No plugin brings chains.
    """
    if not problem.solver.of_step(state.step).chains:
        return None
    return host().registry.function("chains").forward_of(problem, state, attempt)


def seen_by(
    problem: Problem, step: int, blocks: Sequence[FlowBlock], moved: Particles, at: Tensor | None
) -> tuple[Tensor | None, float | None]:
    """Return where chains are after a step, and the largest relative ESS that they allow.

    Args:
        problem: What is minimised and how.
        step: Steps made, with this one.
        blocks: All maps, with that of the step.
        moved: The held-out particles after it.
        at: Where the chains are, shape ``(m, d)``, if there are any yet.
    """
    if not problem.solver.of_step(step - 1).chains:
        return at, None
    found: tuple[Tensor | None, float | None] = (
        host().registry.function("chains").look(problem, step, blocks, moved, at)
    )
    return found
