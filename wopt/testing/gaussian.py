"""Gaussian problems with closed forms, and particles that make their expectations exact."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.errors import DataError
from wopt.interfaces.target import Target
from wopt.particles import Particles

__all__ = ["GaussianTarget", "gaussian_kl", "gaussian_nodes", "jko_step", "moments"]


class GaussianTarget(Target):
    """N(mean, covariance) by its normalised potential, for tests without plugins.

    Args:
        mean: d numbers.
        covariance: d rows of d numbers, positive definite.
    """

    provides = (
        Capability.POTENTIAL | Capability.SCORE | Capability.NORMALISED | Capability.TARGET_SAMPLES
    )

    def __init__(self, mean: list[float], covariance: list[list[float]]) -> None:
        self.mean = torch.tensor(mean, dtype=torch.float64)
        self.covariance = torch.tensor(covariance, dtype=torch.float64)
        self.dim = len(mean)
        variances = torch.linalg.eigvalsh(self.covariance)
        self.convexity = float(1 / variances.max())
        self.smoothness = float(1 / variances.min())

    def potential(self, x: Tensor) -> Tensor:
        """Return minus the log-density, shape ``(n,)``, nats."""
        r = x - self.mean.to(x)
        quadratic = (r * torch.linalg.solve(self.covariance.to(x), r.T).T).sum(1) / 2
        constant = len(self.mean) * math.log(2 * math.pi) + torch.logdet(self.covariance).item()
        return quadratic + constant / 2

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples, shape ``(n, d)``."""
        if dim != self.dim:
            raise DataError(f"this target has dimension {self.dim}, not {dim}")
        z = torch.randn(n, self.dim, dtype=torch.float64, generator=rng)
        return self.mean + z @ torch.linalg.cholesky(self.covariance).T


def gaussian_nodes(mean: Tensor, covariance: Tensor, order: int = 3) -> Particles:
    """Return Gauss-Hermite nodes of N(mean, covariance), exact for polynomials below 2 order.

    With affine maps and quadratic potentials every expectation of KL is then exact.

    Args:
        mean: Mean, shape ``(d,)``.
        covariance: Covariance, shape ``(d, d)``.
        order: Number of nodes in each dimension.

    Example:
        >>> m, c = moments(gaussian_nodes(torch.ones(2).double(), 4 * torch.eye(2).double()))
        >>> m.round(decimals=9).tolist(), c.round(decimals=9).diagonal().tolist()
        ([1.0, 1.0], [4.0, 4.0])
    """
    d = len(mean)
    z, w = np.polynomial.hermite_e.hermegauss(order)
    points = np.stack(np.meshgrid(*[z] * d, indexing="ij"), -1).reshape(-1, d)
    weights = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * d, indexing="ij"), -1), axis=-1)
    nodes = torch.from_numpy(points).to(mean) @ torch.linalg.cholesky(covariance).T + mean
    law = torch.distributions.MultivariateNormal(mean, covariance)
    return Particles.start(nodes, torch.from_numpy(weights.ravel()).to(mean), law.log_prob(nodes))


def moments(particles: Particles) -> tuple[Tensor, Tensor]:
    """Return the particles' weighted mean ``(d,)`` and covariance ``(d, d)``."""
    mean = particles.mean(particles.points)
    centred = particles.points - mean
    return mean, particles.mean(centred[:, :, None] * centred[:, None, :])


def jko_step(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor, h: float
) -> tuple[Tensor, Tensor]:
    """Return mean ``(d,)`` and covariance ``(d, d)`` of the exact JKO step of KL between Gaussians.

    With M = I + h S^-1 and B = M^-1/2 C M^-1/2:  Y = (B + 2h I + (B (B + 4h I))^1/2)/2,
    C+ = M^-1/2 Y M^-1/2,  m+ = M^-1 (m + h S^-1 n).

    Source: docs/theory.md 3.1, for covariances that need not commute.

    Example:
        >>> one = torch.eye(1).double()
        >>> _, c = jko_step(one[0], 4 * one, 0 * one[0], one, 0.5)
        >>> a, h, s = 1.5, 0.5, 2.0  # in one dimension
        >>> round(float(c) - ((s + (s**2 + 4 * a * h) ** 0.5) / (2 * a)) ** 2, 9)
        0.0
    """
    eye = torch.eye(len(mean), dtype=mean.dtype)
    precision = torch.linalg.inv(target_covariance)
    m = eye + h * precision
    half = _power(m, -0.5)
    b = half @ covariance @ half
    y = (b + 2 * h * eye + _power(b @ (b + 4 * h * eye), 0.5)) / 2
    return torch.linalg.solve(m, mean + h * precision @ target_mean), half @ y @ half


def gaussian_kl(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor
) -> float:
    """Return KL(N(m, C) | N(n, S)) in nats, for means ``(d,)`` and covariances ``(d, d)``."""
    difference = mean - target_mean
    quadratic = torch.trace(torch.linalg.solve(target_covariance, covariance))
    quadratic = quadratic + difference @ torch.linalg.solve(target_covariance, difference)
    log_ratio = torch.logdet(target_covariance) - torch.logdet(covariance)
    return float(quadratic - len(mean) + log_ratio) / 2


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Return a power of a symmetric positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * values.clamp(min=0) ** exponent) @ vectors.T
