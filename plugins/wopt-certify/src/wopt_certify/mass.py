"""The integral of a model's density, which should be one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import fields
from wopt.flow import Flow
from wopt.interfaces import Budget, FinishedRun, FlowBlock, Measurement
from wopt.psis import smoothed_importance_weights
from wopt.runs import Prepared
from wopt.seeds import derive, generator
from wopt.statistics import mean_and_error
from wopt.typed import Number, Typed
from wopt_certify.effort import doubling, largest

_MOST_DIMENSIONS = 8
"""Largest dimension in which a kernel density covers a law well enough."""

_DRAWS = 250, 2000
"""Draws that integrate a density, the least and the most."""

_ROWS = 500
"""Number of rows of data, and of the model, that locate its density, at most."""

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
    return TotalMass(*mean_and_error(logs.exp()), tail.k_hat, tail.threshold)


class _Proposal:
    """A kernel density of rows, mixed with a Student law twice as wide."""

    def __init__(self, rows: Tensor) -> None:
        n, d = rows.shape
        self.centres, self.mean, self.deviation = rows, rows.mean(0), rows.std(0)
        # Whitened, so that one bandwidth suits all directions.
        covariance = torch.cov(rows.T).reshape(d, d)
        least = torch.finfo(rows.dtype).tiny
        ridge = 1e-9 * covariance.diagonal().clamp_min(least)  # of each column, in its own units
        self.factor = torch.linalg.cholesky(covariance + ridge.diag())
        self.white = self._whiten(rows)
        self.width = 0.7 * n ** (-1 / (d + 4))

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Return draws, shape ``(count, d)``."""
        d = self.centres.shape[1]
        z = torch.randn(count, d, generator=rng, dtype=torch.float64)
        at = torch.randint(len(self.white), (count,), generator=rng)
        near = self.white[at] + self.width * z
        chi = torch.randn(count, int(_FREEDOM), generator=rng, dtype=torch.float64)
        far = 2 * z * (_FREEDOM / chi.square().sum(1, keepdim=True)).sqrt()
        wide = torch.rand(count, 1, generator=rng, dtype=torch.float64) < _SHARE_WIDE
        return self.mean + torch.where(wide, far, near) @ self.factor.T

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        z, d = self._whiten(x), x.shape[1]
        near = log_mean_kernel(z, self.white, self.width)
        constant = math.lgamma((_FREEDOM + d) / 2) - math.lgamma(_FREEDOM / 2)
        constant -= d / 2 * math.log(_FREEDOM * math.pi) + d * math.log(2)
        far = constant - (_FREEDOM + d) / 2 * torch.log1p(z.square().sum(1) / (4 * _FREEDOM))
        both = torch.stack([near + math.log(1 - _SHARE_WIDE), far + math.log(_SHARE_WIDE)])
        return both.logsumexp(0) - self.factor.diagonal().log().sum()

    def _whiten(self, x: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.factor, (x - self.mean).T, upper=False).T


def log_mean_kernel(points: Tensor, centres: Tensor, width: float) -> Tensor:
    """Return log 1/n sum_i N(x; x_i, h^2 I) in nats, shape ``(m,)``, at points ``(m, d)``.

    Centres x_i have shape ``(n, d)``. Points are processed in parts of bounded memory.
    """
    n, d = centres.shape
    constant = -d * math.log(width) - d / 2 * math.log(2 * math.pi) - math.log(n)
    middle = centres.mean(0)
    centred, squares = centres - middle, (centres - middle).square().sum(1)
    found = []
    for part in torch.split(points - middle, max(1, 4_000_000 // n)):
        distances = torch.addmm(squares, part, centred.T, alpha=-2)
        distances.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
        found.append(distances.mul_(-1 / (2 * width**2)).add_(constant).logsumexp(1))
    return torch.cat(found)


@fields
class Mass(Measurement):
    """The integral of the density of the model, which should be one.

    Example:
        >>> Mass().document.__name__
        'TotalMass'
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[TotalMass]] = TotalMass

    def applies(self, run: FinishedRun) -> str | None:
        """Return why the density cannot be integrated."""
        flow, data = run.prepared.flow(run.state.blocks), run.prepared.dataset
        if data is None:
            return "there are no rows that locate the density"
        if flow.dim > _MOST_DIMENSIONS or flow.condition:
            most = f"in up to {_MOST_DIMENSIONS} dimensions"
            return f"densities are integrated {most}, without conditions"
        known = _has_density(run.prepared, flow)
        return None if known else "the model has no density on all of R^d"

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> TotalMass | None:
        """Return the integral with its error; ``None`` where rows are too few."""
        known = None if recorded is None else recorded.mass
        counts = doubling(*_DRAWS) if known is None else [known.draws]
        return largest(counts, lambda draws: mass_of(run.prepared, run.state.blocks, draws), budget)


@torch.no_grad()
def mass_of(prepared: Prepared, blocks: Sequence[FlowBlock], draws: int = 2000) -> TotalMass | None:
    """Return the integral of the model's audited density; ``None`` where rows are too few.

    Args:
        draws: Number of draws that integrate; at most 500 rows of the model locate the density.
    """
    flow, seed = prepared.flow(blocks), derive(prepared.config.seed, "mass")
    assert prepared.dataset is not None
    count = min(_ROWS, draws)
    parts = [] if prepared.pushes else [prepared.dataset.test[:_ROWS]]
    if Capability.INVERSE in flow.chain.provides:
        parts.append(flow.sample(count, generator=generator(seed, "rows")))
    where = torch.cat([part.double().cpu() for part in parts]) if parts else torch.empty(0)
    where = where[torch.isfinite(where).all(dim=-1)]
    if len(where) <= 10 * flow.dim:
        return None
    mass = total_mass(lambda x: flow.log_prob(x, audit=True), where, seed, draws)
    return dataclasses.replace(mass, draws=draws, rows=count)


def _has_density(prepared: Prepared, flow: Flow) -> bool:
    columns = flow.transform.columns
    moved = () if columns is None else columns.moved
    # A start pushed forward has its density backwards through the maps.
    needed = Capability.LOG_DET | (Capability.INVERSE if prepared.pushes else Capability(0))
    known = needed in flow.chain.provides and flow.normalised
    return known and not any(column.discrete or column.bounded for column in moved)
