"""The affine block, which with quadrature nodes compares schemes with closed forms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock

__all__ = ["AffineBlock"]


class AffineBlock(FlowBlock):
    """T(x) = A x + b, with exact log-det and inverse.

    Args:
        dim: Dimension d.

    Example:
        >>> y, log_det = AffineBlock(2)(torch.ones(3, 2))
        >>> y.shape, float(log_det.detach().abs().max())
        (torch.Size([3, 2]), 0.0)
    """

    provides = Capability.LOG_DET | Capability.INVERSE | Capability.HALF_WAY | Capability.VELOCITY

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return A x + b, shape ``(n, d)``, and log |det A|, ``(n,)``."""
        log_det = torch.linalg.slogdet(self.matrix)[1]
        return x @ self.matrix.T + self.shift, log_det.expand(len(x))

    def half_way(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x + A x + b)/2, shape ``(n, d)``, and log |det (I + A)/2|, ``(n,)``."""
        half = (self.matrix + torch.eye(len(self.shift)).to(self.matrix)) / 2
        return x @ half.T + self.shift / 2, torch.linalg.slogdet(half)[1].expand(len(x))

    def velocity(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (A - I) x + b, shape ``(n, d)``, and trace (A - I), ``(n,)``."""
        slope = self.matrix - torch.eye(len(self.shift)).to(self.matrix)
        return x @ slope.T + self.shift, torch.trace(slope).expand(len(x))

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return A^-1 (y - b), shape ``(n, d)``, and -log |det A|, ``(n,)``."""
        log_det = torch.linalg.slogdet(self.matrix)[1]
        return torch.linalg.solve(self.matrix, (y - self.shift).T).T, -log_det.expand(len(y))
