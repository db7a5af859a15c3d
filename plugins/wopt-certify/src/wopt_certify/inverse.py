"""The model that is sampled: round trips through the maps and their inverses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.flow import noise as draws
from wopt.interfaces import FlowBlock, Target
from wopt.particles import Particles
from wopt.push import apply, invert, invertible, there_and_back
from wopt.seeds import generator
from wopt.typed import Typed
from wopt_certify.estimate import Estimate, root_mean_square
from wopt_certify.replay import EvaluationData

__all__ = ["RoundTrip", "round_trips"]


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

    F is the audited flow, with which likelihoods and certificates are computed; S is the inverse
    flow with which samples are made. Return ``None`` if a block has no inverse.

    Args:
        blocks: T_1, ..., T_N.
        target: The law of the noise; if it cannot be sampled there is no trip from noise.
        rows: Rows of either trip, at most.

    Source: docs/theory.md (1.17), (1.18).
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
