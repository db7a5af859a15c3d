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
from wopt_blocks import Gaussians
from wopt_certify.challenge.densities import likeliest_mixture
from wopt_certify.effort import doubling, largest

_MOST_DIMENSIONS = 8
"""Largest dimension in which a density fitted to rows covers a law well enough."""

_DRAWS = 250, 2000
"""Draws that integrate a density, the least and the most."""

_ROWS = 500
"""Number of rows of data, and of the model, that locate its density, at most."""

_WIDER, _SHARE_WIDE, _WIDTHS = 1.2, 0.2, (2.0, 10.0, 100.0, 1000.0)
"""Factor of what is fitted; fraction of wide Gaussians, and their standard deviations."""
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

        int p = E_r[p(x)/r(x)],    r = 0.8 (Gaussians fitted to the rows) + 0.2 (wide ones).

    Args:
        log_density: log p in nats, from shape ``(n, d)`` to ``(n,)``.
        rows: Rows where p has its mass, shape ``(n, d)`` with n > d.
    """
    x = rows.double().cpu()
    mean, covariance = x.mean(0), torch.cov(x.T).reshape(2 * x.shape[1:])
    least = torch.finfo(x.dtype).tiny
    ridge = 1e-9 * covariance.diagonal().clamp_min(least)  # of each column, in its own units
    factor = torch.linalg.cholesky(covariance + ridge.diag())
    law = _proposal(torch.linalg.solve_triangular(factor, (x - mean).T, upper=False).T)
    z = law.sample(draws, torch.Generator().manual_seed(seed))
    logs = log_density((mean + z @ factor.T).to(rows)).double().cpu()
    logs = logs - law.log_prob(z) + factor.diagonal().log().sum()
    logs = torch.where(torch.isnan(logs), -math.inf, logs)
    tail = smoothed_importance_weights(logs)
    return TotalMass(*mean_and_error(logs.exp()), tail.k_hat, tail.threshold)


def _proposal(z: Tensor) -> Gaussians:
    """Return Gaussians fitted to white rows ``(n, d)``, a little wider, and round wide ones."""
    law, d = likeliest_mixture(z[::2], z[1::2]), z.shape[1]
    widths = z.new_tensor(_WIDTHS)
    shares = widths**-2 / (widths**-2).sum()  # tails of Student's law, two degrees of freedom
    return Gaussians(
        torch.cat([(1 - _SHARE_WIDE) * law.weights, _SHARE_WIDE * shares]),
        torch.cat([law.means, z.new_zeros(len(widths), d)]),
        torch.cat([_WIDER * law.factors, widths[:, None].expand(-1, d).diag_embed()]),
    )


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
