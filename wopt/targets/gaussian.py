"""Gaussian laws: whether a target is one, moments of particles, and steps of KL between them."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt.particles import Particles
from wopt.seeds import generator
from wopt.statistics import symmetric_power


def gaussian_moments(target: Target, dim: int) -> tuple[Tensor, Tensor] | None:
    """Return the mean ``(d,)`` and covariance ``(d, d)`` of a target whose score is affine.

    Return ``None`` for any other target. Both are in the target's units, float64.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> mean, covariance = gaussian_moments(NormalTarget([3.0], [[4.0]]), 1)
        >>> round(float(mean), 9), round(float(covariance), 9)
        (3.0, 4.0)
    """
    if target.dim not in (None, dim):
        return None
    others = 3 * torch.randn(dim + 8, dim, generator=generator(0, "affine score")).double()
    probes = torch.cat([torch.zeros(1, dim), torch.eye(dim), others]).double()
    scores = target.score(probes).double()
    slope = scores[0] - scores[1 : dim + 1]
    affine = scores[0] - probes @ slope
    precision = (slope + slope.T) / 2
    if not torch.allclose(affine, scores, rtol=1e-6, atol=1e-6):
        return None
    if not float(torch.linalg.eigvalsh(precision)[0]) > 0:
        return None
    covariance = torch.linalg.inv(precision)
    return covariance @ scores[0], covariance


def moments(particles: Particles) -> tuple[Tensor, Tensor]:
    """Return the particles' weighted mean ``(d,)`` and covariance ``(d, d)``."""
    mean = particles.mean(particles.points)
    centred = particles.points - mean
    return mean, (centred * particles.shares(centred.dtype)[:, None]).T @ centred


def jko_step(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor, h: float
) -> tuple[Tensor, Tensor]:
    """Return mean ``(d,)`` and covariance ``(d, d)`` of the exact JKO step of KL between Gaussians.

    With M = I + h S^-1 and B = M^-1/2 C M^-1/2:  Y = (B + 2h I + (B (B + 4h I))^1/2)/2,
    C+ = M^-1/2 Y M^-1/2,  m+ = M^-1 (m + h S^-1 n).

    Source: docs/theory 3.1, for covariances that need not commute.

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
    half = symmetric_power(m, -0.5)
    b = half @ covariance @ half
    y = (b + 2 * h * eye + symmetric_power(b @ (b + 4 * h * eye), 0.5)) / 2
    return torch.linalg.solve(m, mean + h * precision @ target_mean), half @ y @ half
