"""The model that is sampled: round trips, and whether its density integrates to one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.flow import noise as draws
from wopt.interfaces import FlowBlock, Target
from wopt.particles import Particles
from wopt.psis import smoothed_importance_weights
from wopt.push import apply, invert, invertible, there_and_back
from wopt.seeds import generator
from wopt.typed import Number, Typed
from wopt_certify.estimate import Estimate, root_mean_square
from wopt_certify.replay import EvaluationData
from wopt_certify.resolution import log_mean_kernel

__all__ = ["MOST_DIMENSIONS", "RoundTrip", "TotalMass", "round_trips", "total_mass"]


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


MOST_DIMENSIONS = 8
"""Largest dimension in which a kernel density covers a law well enough."""

_CENTRES = 1000
_SHARE_WIDE = 0.2
_FREEDOM = 3.0
_ERRORS, _SLACK = 4.0, 0.02


@dataclasses.dataclass(frozen=True)
class TotalMass(Typed):
    """The integral of a model's density, estimated by importance sampling.

    Attributes:
        value, error: The integral and its standard error.
        k_hat: k-hat of the weights; above ``threshold`` the error is not reliable.
        threshold: min(1 - 1/log10 S, 0.7).
        draws, rows: Number of draws that integrated it, and of the model's rows that placed them.
    """

    value: Number
    error: Number
    k_hat: Number
    threshold: float
    label: str = "estimate"
    draws: int = 0
    rows: int = 0

    @property
    def is_one(self) -> bool:
        """Whether the mass may be one, within four standard errors or by Markov's inequality.

        The weights are not negative, so whatever their tail, if the mass is one the mean exceeds
        100 in one case of 100 at most.
        """
        if self.value > 100 or math.isnan(self.value):
            return False
        if not self.k_hat <= self.threshold:
            return True
        return abs(self.value - 1) <= _ERRORS * self.error + _SLACK

    def text(self) -> str:
        """Return the meaning of a mass that is not one."""
        said = f"The model's density integrates to {self.value:.3g} +- {self.error:.2g}, not to 1"
        if self.value > 1:
            return (
                f"{said} (estimate): a block's log-det is false, and the likelihoods are too high, "
                f"on the whole by {math.log(self.value):.2g} nats. KL is not what it says here."
            )
        return (
            f"{said} (estimate): a block's log-det is false, or the maps are not onto R^d, so that "
            "samples come from another law than the likelihoods."
        )


@torch.no_grad()
def total_mass(
    log_density: Callable[[Tensor], Tensor], rows: Tensor, seed: int = 0, draws: int = 2000
) -> TotalMass:
    """Estimate the integral of a density by importance sampling.

        int p = E_r[p(x)/r(x)],    r = 0.8 (kernel density of the rows) + 0.2 (a wide Student law).

    Args:
        log_density: log p in nats, from shape ``(n, d)`` to ``(n,)``.
        rows: Rows where p has its mass, shape ``(n, d)`` with n > d.
    """
    rng = torch.Generator().manual_seed(seed)
    proposal = _Proposal(rows.double().cpu()[:_CENTRES])
    x = proposal.sample(draws, rng)
    logs = log_density(x.to(rows)).double().cpu() - proposal.log_prob(x)
    logs = torch.where(torch.isnan(logs), -math.inf, logs)
    tail = smoothed_importance_weights(logs)
    weights = logs.exp()
    error = float(weights.std()) / math.sqrt(draws)
    return TotalMass(float(weights.mean()), error, tail.k_hat, tail.threshold)


class _Proposal:
    """A kernel density of rows, mixed with a Student law twice as wide."""

    def __init__(self, rows: Tensor) -> None:
        n, d = rows.shape
        self.centres, self.mean, self.deviation = rows, rows.mean(0), rows.std(0)
        # Whitened, so that one bandwidth suits all directions.
        covariance = torch.cov(rows.T).reshape(d, d)
        self.factor = torch.linalg.cholesky(covariance + 1e-9 * covariance.trace() * torch.eye(d))
        self.white = self._whiten(rows)
        self.log_width = math.log(0.7 * n ** (-1 / (d + 4)))

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Return draws, shape ``(count, d)``."""
        d = self.centres.shape[1]
        z = torch.randn(count, d, generator=rng, dtype=torch.float64)
        at = torch.randint(len(self.white), (count,), generator=rng)
        near = self.white[at] + math.exp(self.log_width) * z
        chi = torch.randn(count, int(_FREEDOM), generator=rng, dtype=torch.float64)
        far = 2 * z * (_FREEDOM / chi.square().sum(1, keepdim=True)).sqrt()
        wide = torch.rand(count, 1, generator=rng, dtype=torch.float64) < _SHARE_WIDE
        return self.mean + torch.where(wide, far, near) @ self.factor.T

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        z, d = self._whiten(x), x.shape[1]
        near = log_mean_kernel(z, self.white, torch.full((len(self.white),), self.log_width).to(z))
        constant = math.lgamma((_FREEDOM + d) / 2) - math.lgamma(_FREEDOM / 2)
        constant -= d / 2 * math.log(_FREEDOM * math.pi) + d * math.log(2)
        far = constant - (_FREEDOM + d) / 2 * torch.log1p(z.square().sum(1) / (4 * _FREEDOM))
        both = torch.stack([near + math.log(1 - _SHARE_WIDE), far + math.log(_SHARE_WIDE)])
        return both.logsumexp(0) - self.factor.diagonal().log().sum()

    def _whiten(self, x: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.factor, (x - self.mean).T, upper=False).T
