"""A finished run repeated, block by block, on particles not used in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.push import in_batches
from wopt.train.problem import ParticleHistory, Problem
from wopt.train.record import StepRecord

__all__ = ["ReplayedStep", "replay"]


@dataclasses.dataclass(frozen=True)
class ReplayedStep:
    """One step, on particles that were not trained on.

    Attributes:
        record: The run's record of the step.
        block: The step's map.
        before, after: The particles before it, and moved by the audited map.
        subproblem: The subproblem that the map solves at these particles; ``None`` for schemes of
            several stages, or whose maps replace each other, since earlier maps are not kept.
        audited: The block with its audited image of ``before`` cached.
    """

    record: StepRecord
    block: FlowBlock
    before: Particles
    after: Particles
    subproblem: Subproblem | None
    audited: FlowBlock

    @property
    def step_size(self) -> float:
        """h': the step size that divides the transport term of the subproblem."""
        return self.record.step_size if self.subproblem is None else self.subproblem.step_size


class _Known:
    """A block that caches the audited image of some points, which is expensive to compute."""

    def __init__(self, block: FlowBlock, x: Tensor) -> None:
        self._block, self._x = block, x
        self._with_log_det = Capability.LOG_DET in block.provides
        self.image: tuple[Tensor, Tensor | None] = (
            in_batches(block.audit, x) if self._with_log_det else (in_batches(block.move, x), None)
        )

    def audit(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the cached or computed T(x), ``(n, d)``, and log |det DT(x)|, ``(n,)``."""
        known = self._with_log_det and torch.equal(x, self._x)
        return self.image if known else self._block.audit(x)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        image: tuple[Tensor, Tensor] = self._block(x)
        return image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)


@torch.no_grad()
def replay(
    problem: Problem, blocks: Sequence[FlowBlock], records: Sequence[StepRecord], start: Particles
) -> Iterator[ReplayedStep]:
    """Yield every step of a run.

    Args:
        problem: The problem: objective, scheme, solver.
        blocks: The maps.
        records: One record per step: its step size and what its scheme planned.
        start: The particles at the start.
    """
    scheme = problem.scheme
    trace = ParticleHistory(start)
    previous_h: float | None = None
    if scheme.replaces:  # the maps before the last are not kept
        records = records[-1:]
    for block, record in zip(blocks, records, strict=True):
        problem.redraw("held_out")
        before = trace.particles
        sub = None
        if scheme.stages == 1 and not scheme.replaces:
            history = trace.history(record.step - 1, record.step_size, previous_h, record.plan)
            sub = scheme.subproblem(history, problem.objective.of_step(history.step))
        known = _Known(block, before.points)
        after = before.moved(*known.image)
        yield ReplayedStep(record, block, before, after, sub, cast(FlowBlock, known))
        trace = trace.after(scheme, problem.objective, sub, after)
        previous_h = record.step_size
