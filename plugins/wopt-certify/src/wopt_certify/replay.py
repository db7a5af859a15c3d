"""A finished run repeated on particles not used in training: its evidence and its score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.capabilities import Capability
from wopt.data import AffineTransform
from wopt.interfaces import FlowBlock, Subproblem
from wopt.jacobian import jacobians
from wopt.particles import Particles
from wopt.push import push
from wopt.statistics import mean_and_error
from wopt.store import GapKind
from wopt.train import ParticleHistory, Problem, StepRecord

__all__ = [
    "EvaluationData",
    "ReplayedStep",
    "obeys_stein",
    "pushed_score",
    "replay",
    "score_of",
]


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """Particles at the start that nothing was trained on, in the flow's coordinates.

    Attributes:
        origin: The source of the particles, in words.
        score: The start's score at the first m of them, shape ``(m, d)``; ``None`` if unknown.
        smooth_time: Time of the smoothing that made the start from the data; 0 for none.
        data: The rows before smoothing, shape ``(n, d)``; the particles' points without it.
        conditions: Rows of conditions, shape ``(m, k)``, in the flow's coordinates, for noise.
        of: The quantity that KL(p_N | q) equals if the maps are inverted exactly.
        remarks: The parts left out of the evidence, with reasons.
    """

    particles: Particles
    origin: str
    score: Tensor | None
    transform: AffineTransform
    smooth_time: float
    data: Tensor
    of: GapKind = GapKind.KL_DATA_MODEL
    conditions: Tensor | None = None
    remarks: tuple[str, ...] = ()


def score_of(log_density: Callable[[Tensor], Tensor], x: Tensor) -> Tensor | None:
    """Return grad log p, shape ``(n, d)``, at rows ``(n, d)``, or ``None`` if autograd cannot."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        value = log_density(leaf)
        if not value.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    score: Tensor = gradient
    return score if bool(torch.isfinite(score).all()) else None


def obeys_stein(score: Tensor, x: Tensor) -> bool:
    """Return whether  E <s(X), X - E X> = -d  within six standard errors at draws of p.

    A density with jumps has a gradient almost everywhere that is not its score; it fails. Scores
    and draws have shape ``(n, d)``.
    """
    terms = (score * (x - x.mean(0))).sum(1).double()
    estimate = mean_and_error(terms)
    return abs(estimate.value + x.shape[1]) <= 6 * estimate.error + 1e-6


def pushed_score(block: FlowBlock, x: Tensor, score: Tensor, c: Tensor | None = None) -> Tensor:
    """Return the score of the image measure of a map, at the image points.

        s'(T x) = DT(x)^-T [ s(x) - grad log |det DT(x)| ],

    by one backward pass per dimension, through the block's own grid.

    Args:
        x: Points, shape ``(n, d)``.
        score: s at the points, shape ``(n, d)``.
        c: Conditions, shape ``(n, k)``.

    Returns:
        s', shape ``(n, d)``, float64.

    Source: docs/theory.md 4.2 (a).
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        y, log_det = block(*given(leaf, c))
        jacobian = jacobians(y, leaf).double()
        if log_det.requires_grad:
            (slope,) = torch.autograd.grad(
                log_det.sum(), leaf, allow_unused=True, materialize_grads=True
            )
        else:
            slope = torch.zeros_like(x)
    pushed: Tensor = torch.linalg.solve(jacobian.mT, (score.double() - slope.double())[..., None])
    return pushed[..., 0]


@dataclasses.dataclass(frozen=True)
class ReplayedStep:
    """One step, on particles that were not trained on.

    Attributes:
        record: The run's record of the step.
        before, after: The particles before it, and moved by the audited map.
        subproblem: The subproblem that the map solves at these particles; ``None`` for schemes of
            several stages, or whose maps replace each other, since earlier maps are not kept.
    """

    record: StepRecord
    block: FlowBlock
    before: Particles
    after: Particles
    subproblem: Subproblem | None

    @property
    def step_size(self) -> float:
        """h': the step size that divides the transport term of the subproblem."""
        return self.record.step_size if self.subproblem is None else self.subproblem.step_size


@torch.no_grad()
def replay(
    problem: Problem, blocks: Sequence[FlowBlock], records: Sequence[StepRecord], start: Particles
) -> Iterator[ReplayedStep]:
    """Yield every step of a run."""
    scheme = problem.scheme
    trace = ParticleHistory(start)
    previous_h: float | None = None
    if scheme.replaces:  # the maps before the last are not kept
        records = records[-1:]
    for block, record in zip(blocks, records, strict=True):
        before = trace.particles
        sub = None
        if scheme.stages == 1 and not scheme.replaces:
            history = trace.history(record.step - 1, record.step_size, previous_h, record.plan)
            sub = scheme.subproblem(history, problem.objective.of_step(history.step))
        known = Capability.LOG_DET in block.provides
        after = before.moved(*block.audit(*before.inputs)) if known else push(block, before)
        yield ReplayedStep(record, block, before, after, sub)
        trace = trace.after(scheme, problem.objective, sub, after)
        previous_h = record.step_size
