"""Coordinates in which the particles of a step are white."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wopt import DataError

_FAR, _MANY, _BULK = 5.0, 0.01, 0.9
"""Deviations beyond which a coordinate is far; fraction that is many; fraction kept."""


class White(nn.Module):
    """z = W (x - m), m the mean and W the inverse symmetric root of the covariance of particles.

    Before :meth:`initialise` it is the identity.

    Example:
        >>> mix = torch.tensor([[3.0, 0.0], [1.0, 0.1]], dtype=torch.float64)
        >>> x = torch.randn(500, 2, dtype=torch.float64) @ mix
        >>> white = White(2).double()
        >>> white.initialise(x)
        >>> bool(torch.allclose(torch.cov(white(x).T, correction=0), torch.eye(2).double()))
        True
        >>> bool(torch.allclose(white.inverse(white(x)), x))
        True
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("whitening", torch.eye(dim))
        self.register_buffer("root", torch.eye(dim))
        self.mean: Tensor
        self.whitening: Tensor
        self.root: Tensor

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Choose m and W by particles, shape ``(n, d)``, computing in float64."""
        rows = x.double()
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        if not bool(covariance.isfinite().all()):
            raise DataError("the particles are not finite, so that they cannot be whitened")
        values, vectors = torch.linalg.eigh(covariance)
        if not float(values[0]) > 1e-14 * float(values[-1]):
            raise DataError(
                "the particles' covariance is singular, so that they cannot be whitened; leave out "
                "`whiten`"
            )
        self.mean.copy_(mean)
        self.whitening.copy_(vectors * values.rsqrt() @ vectors.T)
        self.root.copy_(vectors * values.sqrt() @ vectors.T)

    def initialise_beside(self, other: White, points: Tensor) -> None:
        """Choose m and W by the bulk of points, or copy ``other`` where points are not far in it.

        The bulk is the nine tenths nearest to the median, so that a heavy tail sets no scale.

        Args:
            points: Points, shape ``(n, d)``.
        """
        z = other(points)
        if float((z.abs() > _FAR).double().mean()) < _MANY:
            self.load_state_dict(other.state_dict())
        else:
            away = (z - z.median(0).values).square().sum(1)
            self.initialise(points[away <= away.quantile(_BULK)])

    @property
    def log_det(self) -> Tensor:
        """The log-det of W, log |det W|, in nats, shape ``()``."""
        return torch.linalg.slogdet(self.whitening)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Return z = W (x - m), shape ``(n, d)``."""
        return (x - self.mean) @ self.whitening

    def inverse(self, z: Tensor) -> Tensor:
        """Return the x that maps to z, shape ``(n, d)``."""
        return z @ self.root + self.mean
