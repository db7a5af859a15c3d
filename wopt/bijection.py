"""Bijections of R^d with their log-determinants: preprocessing, supports, blocks and chains."""

from __future__ import annotations

import abc

from torch import Tensor, nn

from wopt.capabilities import Capability


class Bijection(nn.Module, abc.ABC):
    """An invertible map T of points ``(n, d)`` with log |det DT| at each point, nats.

    Preprocessing, supports, the blocks of a flow, their chain and its inverse are bijections. One
    that is conditional depends on conditions c, shape ``(n, k)``, too; others may leave ``c`` out
    of their methods, which are then called without it.

    Example:
        >>> import torch
        >>> class Half(Bijection):
        ...     def forward(self, x, c=None):
        ...         return x / 2, torch.full_like(x[:, 0], -0.6931 * x.shape[1])
        ...     def inverse(self, y, c=None):
        ...         return 2 * y, torch.full_like(y[:, 0], 0.6931 * y.shape[1])
        >>> Half().move(torch.ones(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    provides: Capability = Capability.LOG_DET | Capability.INVERSE

    @abc.abstractmethod
    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(T(x; c), log |det D_x T|)``, shapes ``(n, d)`` and ``(n,)``, in one pass."""

    @abc.abstractmethod
    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(T^-1(y; c), log |det D_y T^-1|)``, shapes ``(n, d)`` and ``(n,)``."""

    def differentiable_inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return :meth:`inverse`, ``(n, d)`` and ``(n,)``, with gradients to y and parameters."""
        return self.inverse(*given(y, c))

    def move(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return T(x; c), shape ``(n, d)``; override it where that is cheaper without log-det."""
        return self(*given(x, c))[0]

    def audit(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x; c), ``(n, d)``, and log-det, ``(n,)``, computed independently, more finely.

        The default is :meth:`forward`, for maps in closed form; a block that discretises must
        override it.
        """
        return self(*given(x, c))


def given(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    """Return arguments, of any shape, without those that are ``None``."""
    return tuple(t for t in tensors if t is not None)
