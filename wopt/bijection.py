"""Bijections of R^d with their log-determinants: preprocessing, supports, blocks and chains."""

from __future__ import annotations

import abc

from torch import Tensor, nn

from wopt.capabilities import Capability

__all__ = ["Bijection"]


class Bijection(nn.Module, abc.ABC):
    """An invertible map T of points ``(n, d)`` with log |det DT| at each point, nats.

    Preprocessing, supports, the blocks of a flow, their chain and its inverse are bijections.

    Example:
        >>> import torch
        >>> class Half(Bijection):
        ...     def forward(self, x):
        ...         return x / 2, torch.full_like(x[:, 0], -0.6931 * x.shape[1])
        ...     def inverse(self, y):
        ...         return 2 * y, torch.full_like(y[:, 0], 0.6931 * y.shape[1])
        >>> Half().move(torch.ones(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    provides: Capability = Capability.LOG_DET | Capability.INVERSE

    @abc.abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T(x), log |det DT(x)|)``, shapes ``(n, d)`` and ``(n,)``, in one pass."""

    @abc.abstractmethod
    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T^-1(y), log |det DT^-1(y)|)``, shapes ``(n, d)`` and ``(n,)``."""

    def differentiable_inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return :meth:`inverse`, ``(n, d)`` and ``(n,)``, with gradients to y and parameters."""
        return self.inverse(y)

    def move(self, x: Tensor) -> Tensor:
        """Return T(x), shape ``(n, d)``; override it where that is cheaper without log-det."""
        return self(x)[0]

    def audit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x), ``(n, d)``, and log-det, ``(n,)``, computed independently and more finely.

        The default is :meth:`forward`, for maps in closed form; a block that discretises must
        override it.
        """
        return self(x)
