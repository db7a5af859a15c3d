"""A finished run repeated on particles not used in training: evidence, score, round trips."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.capabilities import Capability
from wopt.data import AffineTransform
from wopt.flow import noise as draws
from wopt.interfaces import FlowBlock, Subproblem, Target
from wopt.jacobian import jacobians
from wopt.particles import Particles
from wopt.push import apply, invert, invertible, push, there_and_back
from wopt.seeds import generator
from wopt.statistics import mean_and_error
from wopt.store import GapKind
from wopt.train import ParticleHistory, Problem, StepRecord
from wopt.typed import Typed
from wopt_certify.estimate import Estimate, root_mean_square


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
    """Return whether  E <s(X), X - E X> = -d  within six standard errors at draws ``(n, d)``.

    A density with jumps has a gradient almost everywhere that is not its score; it fails.
    """
    estimate = mean_and_error((score * (x - x.mean(0))).sum(1).double())
    return abs(estimate.value + x.shape[1]) <= 6 * estimate.error + 1e-6


def pushed_score(block: FlowBlock, x: Tensor, score: Tensor, c: Tensor | None = None) -> Tensor:
    """Return the score of the image measure of a map, at the image points.

        s'(T x) = DT(x)^-T [ s(x) - grad log |det DT(x)| ],

    shape ``(n, d)``, float64, by one backward pass per dimension, from points x and s of that
    shape, and conditions ``(n, k)``.

    Source: docs/theory 4.2 (a).
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        y, log_det = block(*given(leaf, c))
        jacobian = jacobians(y, leaf).double()
        slope = torch.zeros_like(x)
        if log_det.requires_grad:
            (slope,) = torch.autograd.grad(log_det.sum(), leaf, materialize_grads=True)
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


@dataclasses.dataclass(frozen=True)
class RoundTrip(Typed):
    """Root mean squares of the round trips.

    Attributes:
        data: Root mean square of S(F(x)) - x over data, in the flow's coordinates.
        data_units: Root mean square of S(F(x)) - x over data, in the data's units.
        noise: Root mean square of F(S(z)) - z over noise; ``None`` if the target has no samples.
    """

    data: Estimate
    data_units: Estimate
    noise: Estimate | None


@torch.no_grad()
def round_trips(
    blocks: Sequence[FlowBlock],
    target: Target | None,
    evidence: EvaluationData,
    level: float,
    rows: int = 2000,
) -> RoundTrip | None:
    """Return the root mean squares of S(F(x)) - x over data and of F(S(z)) - z over noise.

    F is the audited flow, with which likelihoods are computed, and S the inverse with which samples
    are made; ``None`` if a block has no inverse. There is no trip from a target without draws.

    Args:
        rows: Rows of either trip, at most.

    Source: docs/theory (1.17), (1.18).
    """
    if not invertible(blocks):
        return None
    at = evidence.particles
    # Weighted nodes are few, and all of them are needed.
    at = at.rows(slice(rows)) if at.weights is None else at
    error = there_and_back(blocks, at, audit=True)
    back = evidence.transform.inverse_matrix
    outside = error.double().cpu() @ back.T
    noise = None
    if target is not None and Capability.TARGET_SAMPLES in target.provides:
        rng = generator(0, "certify", "noise")
        z, *c = (t.to(at.points) for t in draws(target, rows, at.dim, rng, evidence.conditions))
        start = invert(blocks, Particles.start(z, None, None, *c))
        noise = _rms(apply(blocks, start, audit=True).points - z, level)
    return RoundTrip(_rms(error, level, at.weights), _rms(outside, level, at.weights), noise)


def _rms(error: Tensor, level: float, weights: Tensor | None = None) -> Estimate:
    squares = error.double().square().sum(1).cpu()
    if not bool(torch.isfinite(squares).all()):
        return Estimate(math.inf, math.inf, 0.0, math.inf)
    return root_mean_square(squares, None if weights is None else weights.cpu(), level)
