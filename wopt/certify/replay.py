"""A finished run made again, block by block, on particles that it did not see."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.push import push
from wopt.train.problem import Problem, Trace
from wopt.train.record import StepRecord

__all__ = ["Passage", "replay"]


@dataclasses.dataclass(frozen=True)
class Passage:
    """One step, as particles see it that were not trained on.

    Attributes:
        record: What the run measured of the step.
        block: Its map.
        before, after: The particles, moved by the audited map.
        subproblem: What the map solves at these particles; ``None`` for schemes of several
            stages, whose earlier maps are not kept.
    """

    record: StepRecord
    block: FlowBlock
    before: Particles
    after: Particles
    subproblem: Subproblem | None


@torch.no_grad()
def replay(
    problem: Problem, blocks: Sequence[FlowBlock], records: Sequence[StepRecord], start: Particles
) -> Iterator[Passage]:
    """Yield every step of a run.

    Args:
        problem: What was minimised and how.
        blocks: The maps.
        records: A record a map: its step size and what its scheme planned.
        start: The particles at the start.
    """
    scheme = problem.scheme
    trace = Trace(start)
    previous_h: float | None = None
    for block, record in zip(blocks, records, strict=True):
        problem.redraw(trace.particles, "held_out")
        before = trace.particles
        sub = None
        if scheme.stages == 1:
            history = trace.history(record.step - 1, record.step_size, previous_h, record.plan)
            sub = scheme.subproblem(history, problem.objective)
        after = push(block, before, audit=True)
        yield Passage(record, block, before, after, sub)
        trace = trace.after(scheme, problem.objective, sub, after)
        previous_h = record.step_size
