"""The block ``affine``."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from wopt import Bijection, Capability
from wopt_blocks.jacobian import JacobianBlock


class Affine(JacobianBlock):
    """T(x) = A x + b,  A = exp(S) exp(K);  given conditions c, T(z; c) = A z + b + C c.

    S and K are the symmetric and the skew part of one free matrix M. So A is invertible whatever M
    is, and every A with det A > 0 is reached: exp(S) exp(K) is its polar decomposition. In closed
    form

        log |det DT| = tr M,    T^-1(y) = exp(-K) exp(-S) (y - b - C c).

    If ``symmetric``, K is left out. Then T is the gradient of a convex function, so the optimal map
    to its image: those between Gaussians are all of this kind.

    Source: Gelbrich, *On a formula for the L2 Wasserstein metric between measures on Euclidean and
    Hilbert spaces*, 1990 (the optimal map between Gaussians is affine, symmetric and positive).

    Example:
        >>> block = Affine(2, symmetric=True)
        >>> y, log_det = block(torch.ones(3, 2))
        >>> y.tolist()[0], log_det.tolist()
        ([1.0, 1.0], [0.0, 0.0, 0.0])
    """

    cites = ("gelbrich1990",)

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        symmetric: Annotated[
            bool,
            Field(
                description="whether A is symmetric positive definite, so that the map is optimal"
            ),
        ] = False,
    ) -> None:
        super().__init__(dim)
        self.symmetric = symmetric
        self.generator = nn.Parameter(torch.zeros(self.dim, self.dim))
        self.shift = nn.Parameter(torch.zeros(self.dim))
        self.by_condition = nn.Parameter(torch.zeros(self.dim, condition)) if condition else None
        if symmetric:
            self.provides = type(self).provides | Capability.ACTION

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and tr M in nats, shape ``(n,)``."""
        return self.move(x, c), self.generator.trace().expand(len(x))

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y), shape ``(n, d)``, and -tr M, shape ``(n,)``, both differentiable."""
        slope = symmetric_exp(-self.generator)
        if not self.symmetric:
            slope = _rotation(self.generator).T @ slope
        return (y - self._shift(c)) @ slope.T, -self.generator.trace().expand(len(y))

    differentiable_inverse = Bijection.differentiable_inverse  # autograd follows the inverse

    @torch.no_grad()
    def become_affine(self, slope: Tensor, shift: Tensor) -> None:
        """Set T(z; c) = A z + b, A symmetric positive definite ``(d, d)``, shape of b ``(d,)``."""
        values, vectors = torch.linalg.eigh(slope.double())
        self.generator.copy_(vectors * values.log() @ vectors.T)
        self.shift.copy_(shift)
        if self.by_condition is not None:
            self.by_condition.zero_()

    def value(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return A z + b + C c, shape ``(n, d)``, of z ``(n, d)`` and c ``(n, k)``."""
        return z @ self.slope().T + self._shift(c)

    def linearise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the value, shape ``(n, d)``, and A, shape ``(1, d, d)``."""
        slope = self.slope()
        return z @ slope.T + self._shift(c), slope[None]

    def slope(self) -> Tensor:
        """Return A, shape ``(d, d)``."""
        stretch = symmetric_exp(self.generator)
        return stretch if self.symmetric else stretch @ _rotation(self.generator)

    def _shift(self, c: Tensor | None) -> Tensor:
        return (
            self.shift
            if c is None or self.by_condition is None
            else self.shift + c @ self.by_condition.T
        )


def symmetric_exp(matrix: Tensor) -> Tensor:
    """Return exp((P + P^T)/2), symmetric and positive definite, of P of shape ``(d, d)``.

    Example:
        >>> symmetric_exp(torch.zeros(2, 2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return torch.linalg.matrix_exp((matrix + matrix.T) / 2)


def _rotation(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_exp((matrix - matrix.T) / 2)
