"""Whether a target is Gaussian, as its score shows."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt.seeds import generator

__all__ = ["gaussian_moments"]


def gaussian_moments(target: Target, dim: int) -> tuple[Tensor, Tensor] | None:
    """Return the mean ``(d,)`` and covariance ``(d, d)`` of a target whose score is affine.

    Return ``None`` for any other target. Both are in the target's units, float64.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> mean, covariance = gaussian_moments(GaussianTarget([3.0], [[4.0]]), 1)
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
