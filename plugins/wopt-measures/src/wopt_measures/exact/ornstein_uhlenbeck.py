"""The exact solution of linear Fokker-Planck equations."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt import ConfigError, Objective, Source
from wopt.interfaces import ExactLaws, ExactSolution
from wopt.statistics import optimal_slope
from wopt_measures.exact.forces import Forces, forces_of, start_of
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.laws.mixture import MixtureLaw
from wopt_measures.targets.gaussian import GaussianTarget
from wopt_measures.targets.mixture import MixtureTarget


class OrnsteinUhlenbeck(ExactSolution):
    """The Ornstein-Uhlenbeck process: Gaussians stay Gaussian, mixtures mixtures.

    For G = E[x^T A x/2 - b^T x] + s int rho log rho + E a |x - x'|^2/4, in sums of ``kl`` and
    ``potential`` of Gaussian targets, ``entropy`` and ``interaction``, from a Gaussian or a mixture
    of them: means and covariances obey, with m the mean of all,

        dm_k/dt = b - A m_k - a (m_k - m),    dS_k/dt = 2 s I - (A + a I) S_k - S_k (A + a I).

    A single Gaussian's points are carried by the optimal map to N(m_t, S_t), which is that of the
    flow where A and S_0 commute.

    Source: docs/theory 5.1; Risken, *The Fokker-Planck Equation*, 1989.

    Example:
        >>> import wopt
        >>> start = wopt.build("source", {"name": "gaussian", "mean": 3.0, "dim": 1})
        >>> laws = OrnsteinUhlenbeck().of(start, wopt.build("objective", "kl"), dim=1)
        >>> round(float(laws.law(1.0).mean), 4)  # 3/e
        1.1036
    """

    cites = ("risken1989",)

    def of(self, source: Source, objective: Objective, dim: int) -> ExactLaws:
        """Return the laws at all times."""
        who = "ornstein_uhlenbeck"
        law = start_of(source, who, (GaussianLaw, MixtureLaw), "a Gaussian or a mixture of them")
        forces = forces_of(objective, dim, who)
        if forces.internal is not None or forces.logarithm:
            raise ConfigError(f"[exact] {who} treats no internal energy or singular interaction")
        process = _Process.of(forces)
        parts = law.parts if isinstance(law, MixtureLaw) else (law,)
        weights = law.weights if isinstance(law, MixtureLaw) else torch.ones(1).double()
        start = _Moments.of(weights, parts, dim)
        if len(parts) > 1:
            return ExactLaws(
                lambda t: _mixture(start.at(process, t)), None,
                lambda t: start.at(process, t).second_moment,
            )  # fmt: skip
        return ExactLaws(
            lambda t: _gaussian(start.at(process, t)),
            lambda x, t: _carried(x, start, start.at(process, t)),
            lambda t: start.at(process, t).second_moment,
        )


@dataclasses.dataclass(frozen=True)
class _Process:
    """The process' A, a, b and s in A's eigenbasis."""

    basis: Tensor
    rates: Tensor
    attraction: float
    linear: Tensor
    noise: float

    @classmethod
    def of(cls, forces: Forces) -> _Process:
        rates, basis = torch.linalg.eigh(forces.precision)
        return cls(basis, rates, forces.attraction, basis.T @ forces.linear, forces.entropy)

    def mean(self, m: Tensor, t: float) -> Tensor:
        """Return the mixture's mean at a time, shape ``(d,)``."""
        decay = torch.exp(-self.rates * t)
        moved = decay * (self.basis.T @ m) + _integral(self.rates, t) * self.linear
        return self.basis @ moved

    def mean_difference(self, x: Tensor, t: float) -> Tensor:
        """Return differences of means at a time, shape ``(k, d)``."""
        return (x @ self.basis * torch.exp(-(self.rates + self.attraction) * t)) @ self.basis.T

    def covariance(self, s: Tensor, t: float) -> Tensor:
        """Return a component's covariance at a time, shape ``(d, d)``."""
        rates = self.rates + self.attraction
        decay = self.basis @ torch.diag(torch.exp(-rates * t)) @ self.basis.T
        added = 2 * self.noise * _integral(2 * rates, t)
        return decay @ s @ decay + self.basis @ torch.diag(added) @ self.basis.T


def _integral(rates: Tensor, t: float) -> Tensor:
    """Return int_0^t exp(-r u) du, also for r = 0."""
    small = rates.abs() < 1e-12
    return torch.where(small, t, -torch.expm1(-rates * t) / torch.where(small, 1.0, rates))


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Weights ``(k,)``, means ``(k, d)`` and covariances ``(k, d, d)`` of a mixture."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @classmethod
    def of(cls, weights: Tensor, parts: tuple[GaussianLaw, ...], dim: int) -> _Moments:
        """Return the moments of Gaussians with weights of shape ``(k,)``."""
        means = torch.stack([p.mean.expand(dim) for p in parts])
        return cls(weights, means, torch.stack([p.covariance(dim) for p in parts]))

    def at(self, process: _Process, t: float) -> _Moments:
        middle = self.weights @ self.means
        distances = process.mean_difference(self.means - middle, t)
        moved = [process.covariance(s, t) for s in self.covariances]
        return _Moments(self.weights, process.mean(middle, t) + distances, torch.stack(moved))

    @property
    def second_moment(self) -> float:
        traces = self.covariances.diagonal(dim1=1, dim2=2).sum(1)
        return float(self.weights @ (traces + self.means.square().sum(1)))


def _gaussian(at: _Moments) -> GaussianTarget:
    return GaussianTarget(at.means[0].tolist(), covariance=_symmetric(at.covariances[0]))


def _mixture(at: _Moments) -> MixtureTarget:
    covariances = [_symmetric(s) for s in at.covariances]
    return MixtureTarget(at.means.tolist(), covariances=covariances, weights=at.weights.tolist())


def _symmetric(s: Tensor) -> list[list[float]]:
    rows: list[list[float]] = ((s + s.T) / 2).tolist()
    return rows


def _carried(x: Tensor, start: _Moments, at: _Moments) -> Tensor:
    """Return x, shape ``(n, d)``, carried by the optimal map from N(m, S) to N(m_t, S_t)."""
    optimal = optimal_slope(start.covariances[0], at.covariances[0])
    return at.means[0] + (x - start.means[0]) @ optimal
