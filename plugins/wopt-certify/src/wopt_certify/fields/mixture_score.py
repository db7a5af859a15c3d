"""The score of a mixture of Gaussians as a test field, in any dimension."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt_certify.challenge.gaussians import Gaussians

__all__ = ["MixtureScore"]


class MixtureScore:
    """phi(y) = grad log r(y) = sum_k c_k g_k,  g_k = P_k (m_k - y),  c_k ~ w_k N(y; m_k, S_k).

        div phi = sum_k c_k (|g_k|^2 - tr P_k) - |phi|^2.

    The field is smooth, so its divergence has no singular part.

    Args:
        density: The mixture r, with precisions P_k.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 2, generator=rng, dtype=torch.float64)
        >>> r = Gaussians.best(x[:3000], x[3000:], 0)
        >>> phi, divergence = MixtureScore(r)(x)
        >>> float((phi + x).norm(dim=1).mean()) < 0.1, abs(float(divergence.mean()) + 2) < 0.1
        (True, True)
    """

    def __init__(self, density: Gaussians) -> None:
        self.density = density

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        parts = [self._of(part) for part in y.double().split(8192)]
        return torch.cat([phi for phi, _ in parts]), torch.cat([div for _, div in parts])

    def _of(self, y: Tensor) -> tuple[Tensor, Tensor]:
        r = self.density
        shares = r.joint(y).softmax(1)
        phi, squares = torch.zeros_like(y), y.new_zeros(len(y))
        for fraction, mean, factor in zip(shares.T, r.means, r.factors, strict=True):
            slope = (mean - y) @ factor @ factor.T
            phi += fraction[:, None] * slope
            squares += fraction * (slope.square().sum(1) - factor.square().sum())
        return phi, squares - phi.square().sum(1)
