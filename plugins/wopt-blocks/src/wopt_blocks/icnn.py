"""The block ``icnn``: the gradient of a convex potential."""

from __future__ import annotations

import copy
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from wopt import Capability
from wopt_blocks.affine import symmetric_exp
from wopt_blocks.convex import ConvexNet
from wopt_blocks.jacobian import JacobianBlock

_CURVATURE = 0.5
"""Bound of Hess g_0; being below 1, it keeps the potential strictly convex."""


class GradientOfConvex(JacobianBlock):
    """T = grad phi with phi strictly convex: the Brenier map from a measure to its image.

        phi(x) = psi(B x) + b . x,   psi(y) = (|y|^2/2 - g_0(y)) + g(y),   B = exp(S), S symmetric,

    g an input-convex network and g_0 itself as it was when new, held fixed. Its curvature is at
    most 1/2, so the bracket is strictly convex, and with it phi:

        DT(x) = B (I - Hess g_0 + Hess g) B  >=  B^2/2.

    At first g = g_0, S = 0 and b = 0, so T is exactly the identity, yet every direction is open: g
    may bend more than g_0 or less. With g = g_0 it is any optimal map between Gaussians. Given
    conditions c (Huang et al.), g(y; c) is convex in y for each c, and b is affine in c.

    log |det DT| is exact, from the Hessian in closed form. The inverse is the minimiser of
    phi(x) - <x, y>, by Newton's method down to rounding; if T(x) misses y by more than
    1e-10 (1 + |y|), in float32 1e-3 (1 + |y|), that is an error.

    Source: Amos, Xu, Kolter, *Input convex neural networks*, 2017; Huang, Chen, Tsirigotis,
    Courville, *Convex potential flows*, 2021; Mokrov et al., *Large-scale Wasserstein gradient
    flows*, 2021 (JKO steps by such maps).

    Example:
        >>> block = GradientOfConvex(2, width=16)
        >>> x = torch.randn(5, 2)
        >>> y, log_det = block(x)
        >>> bool((y == x).all()), bool((log_det == 0).all())
        (True, True)
    """

    cites = ("amos2017", "huang2021", "mokrov2021")
    provides = JacobianBlock.provides | Capability.ACTION

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        width: Annotated[int, Field(ge=1, description="width of the hidden layers")] = 64,
        depth: Annotated[int, Field(ge=1, le=1000, description="number of hidden layers")] = 2,
        sharpness: Annotated[
            float,
            Field(gt=0, description="factor by which the argument of the softplus is multiplied"),
        ] = 5.0,
    ) -> None:
        super().__init__(dim)
        self.width = width
        self.net = ConvexNet(self.dim, condition, width, depth, sharpness, _CURVATURE)
        self.start = _constant(self.net)
        self.stretch = nn.Parameter(torch.zeros(self.dim, self.dim))
        self.shift = nn.Parameter(torch.zeros(self.dim))
        self.by_condition = nn.Parameter(torch.zeros(self.dim, condition)) if condition else None

    def value(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return grad phi(z; c), shape ``(n, d)``."""
        b = symmetric_exp(self.stretch)
        y = z @ b
        change = self.net.gradient(y, c) - self.start.gradient(y, c)
        return (y + change) @ b + self._shift(c)

    def linearise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return grad phi, shape ``(n, d)``, and Hess phi, shape ``(n, d, d)``."""
        b = symmetric_exp(self.stretch)
        y = z @ b
        gradient, hessian = self.net.gradient_and_hessian(y, c)
        gradient_0, hessian_0 = self.start.gradient_and_hessian(y, c)
        eye = torch.eye(self.dim, dtype=z.dtype, device=z.device)
        value = (y + (gradient - gradient_0)) @ b + self._shift(c)
        return value, b @ (eye + (hessian - hessian_0)) @ b

    def hint(self) -> str:
        """Return what to do when the inverse fails."""
        return (
            "the map is strictly monotone, so rows that are not finite or rounding must be the "
            "cause: use dtype = float64, or less sharpness"
        )

    def floats_a_row(self) -> int:
        """Return how many numbers the largest tensor of a derivative holds for one row."""
        return self.dim * max(self.dim, self.width)

    def _shift(self, c: Tensor | None) -> Tensor:
        return (
            self.shift
            if c is None or self.by_condition is None
            else self.shift + c @ self.by_condition.T
        )


def _constant(net: ConvexNet) -> ConvexNet:
    """Return a copy whose parameters are buffers: saved, never trained."""
    frozen = copy.deepcopy(net)
    for module in frozen.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return frozen
