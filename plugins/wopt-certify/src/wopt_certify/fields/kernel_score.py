"""The score of a kernel density as a test field, for few dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["KernelScore"]

_CENTRES = 3000


class KernelScore:
    """phi(y) = grad log p^(y) = (E_w x_i - y)/h^2,  w_i ~ exp(-|y - x_i|^2/(2 h^2)).

        div phi = (E_w |x_i - y|^2 - |E_w x_i - y|^2)/h^4 - d/h^2.

    The field is smooth, so its divergence has no singular part, unlike that of a spline's density.

    Args:
        centres: x_i, shape ``(n, d)``; at most 3000 are used.
        bandwidth: h.

    Example:
        >>> x = torch.zeros(1, 2, dtype=torch.float64)  # p^ is N(0, I)
        >>> phi, divergence = KernelScore(x, 1.0)(torch.tensor([[1.0, 2.0]]).double())
        >>> phi.tolist(), round(float(divergence), 6)
        ([[-1.0, -2.0]], -2.0)
    """

    def __init__(self, centres: Tensor, bandwidth: float) -> None:
        self.centres = centres[:_CENTRES].double()
        self.bandwidth = bandwidth

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        rows = max(1, 2_000_000 // len(self.centres))
        parts = [self._of(part) for part in y.double().split(rows)]
        return torch.cat([phi for phi, _ in parts]), torch.cat([div for _, div in parts])

    def _of(self, y: Tensor) -> tuple[Tensor, Tensor]:
        h2 = self.bandwidth**2
        squares = torch.cdist(y, self.centres).square()
        weights = (-squares / (2 * h2)).softmax(1)
        step = weights @ self.centres - y
        spread = (weights * squares).sum(1) - step.square().sum(1)
        return step / h2, spread / h2**2 - y.shape[1] / h2
