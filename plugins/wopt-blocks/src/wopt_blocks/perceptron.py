"""The displacement net of ``residual``, with its derivative in closed form."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wopt.bijection import given
from wopt.precision import Rounding

Activation = Literal["silu", "softplus", "tanh"]

_LARGEST_SLOPE = {"silu": 1.1, "softplus": 1.0, "tanh": 1.0}
"""Upper bounds of |s'|."""


@dataclasses.dataclass(frozen=True)
class Derivative:
    """J = W_L diag(s_{L-1}) W_{L-1} ... diag(s_1) W_1 at n points, kept as its factors.

    Attributes:
        weights: W_1, ..., W_L; of W_1 only the columns of the coordinates that move.
        slopes: s_1, ..., s_{L-1}, each of shape ``(n, width)``.
    """

    weights: Sequence[Tensor]
    slopes: Sequence[Tensor]

    def times(self, v: Tensor) -> Tensor:
        """Return J v, by row: shapes ``(n, m)``."""
        for weight, slope in zip(self.weights[:-1], self.slopes, strict=True):
            v = slope * (v @ weight.T)
        return v @ self.weights[-1].T

    def transposed_times(self, v: Tensor) -> Tensor:
        """Return J^T v, by row: shapes ``(n, m)``."""
        v = v @ self.weights[-1]
        for weight, slope in zip(self.weights[-2::-1], self.slopes[::-1], strict=True):
            v = (slope * v) @ weight
        return v

    def hidden(self) -> Tensor:
        """Return U^T, shape ``(n, m, width)``, for the U with J = W_L U."""
        u = self.slopes[0][:, None, :] * self.weights[0].T
        for weight, slope in zip(self.weights[1:-1], self.slopes[1:], strict=True):
            u = slope[:, None, :] * (u @ weight.T)
        return u

    def matrix(self) -> Tensor:
        """Return J, shape ``(n, m, m)``."""
        return (self.hidden() @ self.weights[-1].T).mT

    def sign_and_log_det(self) -> tuple[Tensor, Tensor]:
        """Return the sign of det (I + J) and log |det (I + J)|, shapes ``(n,)``.

        Exact, by the smaller of two determinants: det (I + W_L U) = det (I + U W_L), Sylvester's
        identity.
        """
        last, u = self.weights[-1].T, self.hidden()
        narrow = len(last) < u.shape[1]
        product = last @ u if narrow else u @ last  # of the transposes
        eye = torch.eye(product.shape[-1], dtype=product.dtype, device=product.device)
        sign, log_det = torch.linalg.slogdet(eye + product)
        return sign, log_det


class Perceptron(Rounding):
    """f(z; c) = W_L s(... s(W_1 (z, c) + b_1) ...) + b_L, zero at the start.

    With a Lipschitz bound l > 0 the last weight is divided by  max(1, k/l),
    k = |W_1| ... |W_L| max|s'|^(L-1)  (spectral norms; of W_1 the columns of z), so that f(.; c)
    has a Lipschitz constant of at most l. The norms are exact, by singular values, since a bound
    that a power iteration has not reached yet bounds nothing.

    Source: Gouk, Frank, Pfahringer, Cree, *Regularisation of neural networks by enforcing
    Lipschitz continuity*, 2021 (dividing by max(1, norm/bound)).

    Args:
        activation: Activation s: ``silu``, ``softplus`` or ``tanh``.
        lipschitz: Lipschitz bound l; zero for none.
    """

    def __init__(
        self,
        moves: int,
        condition: int,
        width: int,
        depth: int,
        activation: Activation,
        lipschitz: float,
    ) -> None:
        super().__init__()
        self.moves = moves
        self.activation: Activation = activation
        self.lipschitz = lipschitz
        sizes = [moves + condition, *[width] * depth, moves]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return f(z; c), shape ``(n, m)``, of z ``(n, m)`` and c ``(n, k)``."""
        *inner, last = self._weights()
        h = torch.cat(given(z, c), dim=1)
        for weight, layer in zip(inner, self.layers, strict=False):
            h = _value(self.activation, self.linear(h, weight, layer.bias))  # type: ignore[arg-type]
        return self.linear(h, last, self.layers[-1].bias)  # type: ignore[arg-type]

    def linearise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Derivative]:
        """Return f(z; c), shape ``(n, m)``, with its derivative by z."""
        weights = self._weights()
        h, slopes = torch.cat(given(z, c), dim=1), []
        for weight, layer in zip(weights[:-1], self.layers, strict=False):
            h, slope = _value_and_slope(
                self.activation,
                self.linear(h, weight, layer.bias),  # type: ignore[arg-type]
            )
            slopes.append(slope)
        value = self.linear(h, weights[-1], self.layers[-1].bias)  # type: ignore[arg-type]
        return value, Derivative([weights[0][:, : self.moves], *weights[1:]], slopes)

    def _weights(self) -> list[Tensor]:
        weights: list[Tensor] = [layer.weight for layer in self.layers]  # type: ignore[misc]
        if self.lipschitz:
            by_z = [weights[0][:, : self.moves], *weights[1:]]
            k = _LARGEST_SLOPE[self.activation] ** (len(weights) - 1)
            norm = torch.stack([torch.linalg.matrix_norm(w, 2) for w in by_z]).prod()
            weights[-1] = weights[-1] / (k / self.lipschitz * norm).clamp(min=1)
        return weights


def _value(name: Activation, u: Tensor) -> Tensor:
    if name == "silu":
        return F.silu(u)
    return torch.tanh(u) if name == "tanh" else F.softplus(u, threshold=40)


def _value_and_slope(name: Activation, u: Tensor) -> tuple[Tensor, Tensor]:
    if name == "tanh":
        a = torch.tanh(u)
        return a, 1 - a * a
    gate = torch.sigmoid(u)
    if name == "softplus":
        return F.softplus(u, threshold=40), gate
    a = u * gate
    return a, gate + a * (1 - gate)
