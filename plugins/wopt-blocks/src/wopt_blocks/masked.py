"""Nets whose outputs for a coordinate depend only on the coordinates before it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wopt import ConfigError
from wopt.precision import Rounding

Activation = Literal["elu", "gelu", "relu", "silu", "tanh"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": F.elu,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}

_MEAN = math.sqrt(2 / math.pi)
"""Mean of |x| for a standard normal x: nets learn faster from centred inputs."""

Solve = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class MaskedNet(nn.Module):
    """P outputs for each coordinate, computed from coordinates of lower rank; zero at the start.

    Every hidden unit has a degree, and sees the inputs of a rank up to it; weights between units
    before. Points are columns, shape ``(d, n)``: the outputs, ``(P, d, n)``, then have every
    parameter of all points in a row of memory.

    Coordinates (not conditions) beyond ``reach`` are clamped to it: for points far from those of
    training, outputs are those at the edge.

    Units are sorted by degree, so that, rank by rank, only the units that have just come to see all
    they depend on need computing: :meth:`unroll` takes the arithmetic of one pass, not of d.

    Source: Germain et al., *MADE: masked autoencoder for distribution estimation*, 2015; Nash,
    Durkan, *Autoregressive energy machines*, 2019 (residual).

    Args:
        ranks: Position of every coordinate in the order, a permutation of 0, ..., d - 1.
        residual: Whether each hidden layer is added to the one before.
        magnitudes: Whether the first layer sees |x| - sqrt(2/pi) beside x.
    """

    reach: Tensor

    def __init__(
        self,
        ranks: Sequence[int],
        condition: int,
        outputs: int,
        hidden: Sequence[int],
        activation: Activation = "elu",
        residual: bool = True,
        magnitudes: bool = False,
    ) -> None:
        super().__init__()
        if residual and len(set(hidden)) > 1:
            raise ConfigError(
                f"hidden layers of different widths, {list(hidden)}, cannot add up: give them one "
                "width, or set residual = false"
            )
        self.dim, self.outputs = len(ranks), outputs
        self.order = sorted(range(self.dim), key=lambda i: ranks[i])
        self.activation = _ACTIVATIONS[activation]
        self.residual = residual
        self.magnitudes = magnitudes
        self.register_buffer("reach", torch.tensor(math.inf))
        # Conditions come before all: rank -1. Then, with d ranks, degrees reach to d - 2.
        first = -1 if condition else 0
        count = self.dim - 1 - first
        degrees = [torch.tensor([*ranks, *[-1] * condition]).repeat(1 + magnitudes)]
        if count:
            degrees += [first + torch.arange(width) * count // width for width in hidden]
            self.last = _MaskedLinear(
                degrees[-1], (torch.tensor(ranks) - 1).repeat(outputs), zero=True
            )
        else:  # nothing to see: the numbers are constants
            self.constant = nn.Parameter(torch.zeros(outputs, self.dim, 1))
        self.layers = nn.ModuleList(_MaskedLinear(a, b) for a, b in itertools.pairwise(degrees))
        # How many units of a layer see nothing beyond the coordinates before a rank.
        self.known = [[int((d < rank).sum()) for rank in range(self.dim)] for d in degrees[1:]]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all coordinates, shape ``(P, d, n)``.

        Args:
            x: Coordinates, and conditions below them, shape ``(d + k, n)``.
        """
        if not self.layers:
            return self.constant.expand(-1, -1, x.shape[1])
        h = self._seen(x[: self.dim], x[self.dim :])
        for k, layer in enumerate(self.layers):
            z = self.activation(layer(h))
            h = h + z if self.residual and k else z
        made: Tensor = self.last(h)
        return made.view(self.outputs, self.dim, -1)

    def unroll(self, y: Tensor, c: Tensor, solve: Solve) -> tuple[Tensor, Tensor]:
        """Solve for the coordinates in order, each from the net's outputs of those before.

        Args:
            y: Argument of ``solve`` for every coordinate, shape ``(d, n)``.
            c: Conditions, shape ``(k, n)``.
            solve: Called with a coordinate's outputs, ``(P, 1, n)``, and its y, ``(1, n)``; returns
                its value and a second result, ``(1, n)`` both.

        Returns:
            The coordinates, shape ``(d, n)``, and the sum of the second results, ``(n,)``.
        """
        width = self.dim + len(c)
        solved, hidden, total = y[:0], [y[:0]] * len(self.layers), torch.zeros_like(y[0])
        for rank, coordinate in enumerate(self.order):
            below, given = self._seen(solved, c), [*self.order[:rank], *range(self.dim, width)]
            seen: slice | list[int] = given
            if self.magnitudes:
                seen = [*given, *(width + i for i in given)]
            for k, (layer, known) in enumerate(zip(self.layers, self.known, strict=True)):
                new = slice(len(hidden[k]), known[rank])
                z = self.activation(layer.of(new, seen, below))  # type: ignore[operator]
                hidden[k] = torch.cat([hidden[k], below[new] + z if self.residual and k else z])
                below, seen = hidden[k], slice(len(hidden[k]))
            if self.layers:
                made = self.last.of(slice(coordinate, None, self.dim), seen, below)
            else:
                made = self.constant[:, coordinate].expand(-1, y.shape[1])
            value, second = solve(made[:, None], y[coordinate : coordinate + 1])
            solved, total = torch.cat([solved, value]), total + second[0]
        positions = torch.tensor(self.order, device=y.device).argsort()
        return solved[positions], total

    def _seen(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the inputs of the first layer."""
        seen = torch.cat([x.clamp(-self.reach, self.reach), c])
        return torch.cat([seen, seen.abs() - _MEAN]) if self.magnitudes else seen


class _MaskedLinear(Rounding):
    """W x + b of columns x, where no output sees an input of a higher degree.

    Args:
        zero: Whether weights and bias start at zero.
    """

    mask: Tensor

    def __init__(self, degrees: Tensor, units: Tensor, zero: bool = False) -> None:
        super().__init__()
        made = nn.Linear(len(degrees), len(units))
        self.weight = nn.Parameter(made.weight.detach() * (not zero))
        self.bias = nn.Parameter(made.bias.detach() * (not zero))
        mask = (units[:, None] >= degrees).to(made.weight.dtype)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return all outputs, shape ``(units, n)``, of columns x, shape ``(inputs, n)``."""
        return self.product(self.weight * self.mask, x, self.bias[:, None])

    def of(self, units: slice, inputs: slice | list[int], x: Tensor) -> Tensor:
        """Return some outputs, shape ``(units, n)``, from the inputs that they see."""
        return torch.addmm(self.bias[units, None], self.weight[units][:, inputs], x)
