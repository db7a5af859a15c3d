"""Posterior: draws of a posterior, their weights and diagnostics."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor

from wopt.component import build
from wopt.flow import Flow
from wopt.flow.weights import log_weights
from wopt.html import paragraph, table
from wopt.psis import smoothed_importance_weights
from wopt.seeds import derive, generator
from wopt.targets.density import Density
from wopt_posterior.arviz import to_arviz
from wopt_posterior.diagnostics.measure import measure_sampler
from wopt_posterior.diagnostics.of_flow import report_within
from wopt_posterior.diagnostics.report import SamplerReport

__all__ = ["Posterior"]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Posterior:
    """Draws of a posterior with weights and diagnostics, returned by :func:`wopt.sample`.

    Attributes:
        draws: Draws of the model, in the coordinates of ``log_prob``, shape ``(n, d)``, float64.
        log_weights: Pareto-smoothed log-weights, shape ``(n,)``; their exponentials sum to one.
        names: Names of the d coordinates.
        report: Diagnostics of the weights, with means and standard deviations.
        flow: The model in free coordinates, from N(0, I).
        density: log p in free coordinates, and the bijection from them (``density.support``).
        how: How the model was made, in words.
        cpu_seconds: CPU seconds that it took.
    """

    draws: Tensor
    log_weights: Tensor
    names: tuple[str, ...]
    report: SamplerReport
    flow: Flow
    density: Density
    how: str
    cpu_seconds: float

    @classmethod
    def of(
        cls,
        density: Density,
        flow: Flow,
        n: int,
        seed: int,
        how: str,
        seconds: float,
        chains: Tensor | None = None,
    ) -> Posterior:
        """Draw from a fitted flow and measure it, also by chains of shape ``(m, d)``.

        Raises:
            DataError: No draw has a finite weight.
        """
        rng = generator(seed, "posterior")
        y, log_q = flow.sample_and_log_prob(n, generator=rng, audit=True)
        target = build("target", {"name": "potential", "function": lambda z: -density(z)})
        of_chains = None
        if chains is not None:
            with torch.no_grad():
                of_chains = density(chains) - flow.log_prob(chains)
        key = derive(seed, "measure")
        more = functools.partial(flow.sample_and_log_prob, generator=generator(key, "more"))
        report = measure_sampler(
            target, y, log_q, chains=of_chains, model=flow.log_prob, more=more, seed=key
        )
        with torch.no_grad():
            x = density.support(y)[0]
            weights = log_weights(target, y, log_q)
            report = report_within(density.support, report, y, weights)
            smoothed = smoothed_importance_weights(weights)
        return cls(x, smoothed.log_weights, density.names, report, flow, density, how, seconds)

    @property
    def k_hat(self) -> float:
        """Pareto shape of the weights; above ``report.k_hat_threshold`` they are unreliable."""
        return self.report.k_hat

    @property
    def reliable(self) -> bool:
        """Whether no measurement speaks against the draws."""
        return self.report.reliable

    @property
    def log_z(self) -> float:
        """Estimate of the logarithm of the integral of exp(log_prob), in nats."""
        return self.report.log_z

    @property
    def log_z_error(self) -> float:
        """Standard error of ``log_z``, in nats."""
        return self.report.log_z_error

    @property
    def means(self) -> Tensor:
        """Means of the posterior by the weights, shape ``(d,)``."""
        return torch.tensor(self.report.means, dtype=torch.float64)

    @property
    def sds(self) -> Tensor:
        """Standard deviations of the posterior by the weights, shape ``(d,)``."""
        return torch.tensor(self.report.sds, dtype=torch.float64)

    def resample(self, n: int | None = None, seed: int = 0) -> Tensor:
        """Return equally weighted draws, ``(n, d)``, by systematic resampling, with repetitions.

        Args:
            n: Number of draws; by default that of ``draws``.
            seed: Seed of the choice and of the order.
        """
        size = len(self.draws) if n is None else n
        rng = generator(seed, "resample")
        edges = self.log_weights.exp().cumsum(0)
        levels = (torch.arange(size) + torch.rand((), generator=rng)) / size
        rows = torch.searchsorted(edges / edges[-1], levels.to(edges)).clamp_max(len(edges) - 1)
        return self.draws[rows[torch.randperm(size, generator=rng)]]

    def to_arviz(self, *, seed: int = 0) -> Any:
        """Return equally weighted draws for ArviZ: ``InferenceData`` (0.x) or a tree (1.x).

        Attributes hold k-hat and log Z. Names such as ``theta[0]`` become one variable.

        Raises:
            UserError: ArviZ is not installed.
        """
        about = {
            "inference_library": "wopt",
            "k_hat": self.k_hat,
            "log_z": self.log_z,
            "log_z_error": self.log_z_error,
            "reliable": int(self.reliable),
        }
        return to_arviz(self.resample(seed=seed).numpy(), self.names, about)

    def text(self) -> str:
        """Return the report as a table: one line per coordinate, then the diagnostics."""
        width = max(len(name) for name in self.names)
        head = f"{'':<{width}}  {'mean':>10}  {'+-':>8}  {'sd':>10}"
        r = self.report
        rows = [
            f"{name:<{width}}  {m:>10.4g}  {e:>8.2g}  {s:>10.4g}"
            for name, m, e, s in zip(self.names, r.means, r.means_error, r.sds, strict=True)
        ]
        return "\n".join([head, *rows, r.text(), f"by {self.how}; {self.cpu_seconds:.1f} CPU s"])

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        r = self.report
        rows = [
            (name, f"{m:.4g}", f"{e:.2g}", f"{s:.4g}")
            for name, m, e, s in zip(self.names, r.means, r.means_error, r.sds, strict=True)
        ]
        return (
            paragraph(repr(self), bold=True)
            + table(["", "mean", "+-", "sd"], rows[:50])
            + paragraph(f"{r.text()}. By {self.how}; {self.cpu_seconds:.1f} CPU s")
        )

    def __repr__(self) -> str:
        word = "reliable" if self.reliable else "not reliable"
        return (
            f"Posterior({len(self.draws)} draws of {len(self.names)} coordinates, {word}, k-hat "
            f"{self.k_hat:.2g}, log Z {self.log_z:.4g} +- {self.log_z_error:.2g})"
        )
