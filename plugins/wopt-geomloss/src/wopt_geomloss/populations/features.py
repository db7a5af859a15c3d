"""Features of a potential, and the least squares that fit their coefficients."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

_CHUNK = 256
"""Number of points whose gradients of all features are held at a time."""


@dataclasses.dataclass(frozen=True)
class Features:
    """Linear functions, products of two coordinates, and Gaussian bumps.

        x_i,    x_i x_j (i < j) and x_i^2/2,    exp(-|x - z_k|^2 / (2 s^2)),

    p = d + d(d + 1)/2 + K functions on R^d.

    Attributes:
        centres: Centres z_k of the bumps, shape ``(K, d)``.
    """

    centres: Tensor
    width: float

    @property
    def bumps(self) -> int:
        """Number K of bumps, which are the last features."""
        return len(self.centres)

    def values(self, x: Tensor) -> Tensor:
        """Return every feature at every point: shape ``(n, p)``."""
        i, j = self._pairs(x)
        products = x[:, i] * x[:, j] * self._half(i, j).to(x)
        return torch.cat([x, products, self._bumps(x)], 1)

    def gradients(self, x: Tensor) -> Tensor:
        """Return the gradient of every feature at every point: shape ``(n, d, p)``."""
        i, j = self._pairs(x)
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        products = eye[:, i] * x[:, None, j] + eye[:, j] * x[:, None, i]
        away = x[:, :, None] - self.centres.T.to(x)
        bumps = -away / self.width**2 * self._bumps(x)[:, None]
        linear = eye.expand(len(x), -1, -1)
        return torch.cat([linear, products * self._half(i, j).to(x), bumps], 2)

    def _pairs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        i, j = torch.triu_indices(x.shape[1], x.shape[1], device=x.device)
        return i, j

    @staticmethod
    def _half(i: Tensor, j: Tensor) -> Tensor:
        return 1 - (i == j) / 2

    def _bumps(self, x: Tensor) -> Tensor:
        away = x[:, None] - self.centres.to(x)
        return torch.exp(-away.square().sum(2) / (2 * self.width**2))


def least_squares(
    features: Features, x: Tensor, velocity: Tensor, mass: Tensor, ridge: float
) -> Tensor:
    """Return theta, ``(p,)``, whose gradient field is nearest to minus the velocities.

        argmin over theta of  E_m |sum_k theta_k grad phi_k(x) + v|^2  +  r sum_bumps theta_k^2,

    where r is a fraction of the mean diagonal of the first term's matrix. Of several minimisers it
    is the shortest.

    Args:
        x: Points, shape ``(n, d)``.
        velocity: Velocities v_n, shape ``(n, d)``.
        mass: Weights m_n >= 0, shape ``(n,)``.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [4.0]]).double()
        >>> theta = least_squares(Features(x[:0], 1.0), x, 1 - 3 * x, torch.ones(3).double(), 0.0)
        >>> [round(float(t), 6) for t in theta]
        [-1.0, 3.0]
    """
    p = features.values(x[:1]).shape[1]
    gram, right = x.new_zeros(p, p), x.new_zeros(p)
    mass = mass / mass.sum()
    for rows in torch.arange(len(x)).split(_CHUNK):
        g = features.gradients(x[rows])
        gram += torch.einsum("n,ndp,ndq->pq", mass[rows], g, g)
        right -= torch.einsum("n,ndp,nd->p", mass[rows], g, velocity[rows])
    if features.bumps:
        gram.diagonal()[-features.bumps :] += ridge * gram.diagonal().mean()
    return torch.linalg.lstsq(gram, right[:, None], driver="gelsd").solution[:, 0]
