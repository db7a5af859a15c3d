"""Nets whose outputs for a coordinate see only the coordinates before it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wopt import ConfigError
from wopt.precision import product

__all__ = ["Activation", "MaskedNet"]

Activation = Literal["elu", "gelu", "relu", "silu", "tanh"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": F.elu,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}

_MEAN = math.sqrt(2 / math.pi)
"""Of |x| for a standard normal x: inputs that are centred are learnt from much faster."""

Solve = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class MaskedNet(nn.Module):
    """P numbers a coordinate, made from the coordinates of lower rank; zero when new.

    Every hidden unit has a degree, and sees the inputs of a rank up to it; weights between units
    that must not see each other are masked. With ``residual`` a hidden layer adds to the one
    before. Points are columns, shape ``(d, n)``: what is made for them, ``(P, d, n)``, then has
    every parameter of all points in a row of memory.

    Coordinates (not conditions) beyond ``reach`` are at its end for the net: what it makes for
    points far from those that it was trained on is what it makes at the edge.

    Units are sorted by degree, so that, rank by rank, only the units that have just come to see all
    they depend on need computing: :meth:`unroll` takes the arithmetic of one pass, not of d.

    Source: Germain et al., *MADE: masked autoencoder for distribution estimation*, 2015; Nash,
    Durkan, *Autoregressive energy machines*, 2019 (residual).

    Args:
        ranks: The position of every coordinate in the order, a permutation of 0, ..., d - 1.
        condition: How many more inputs all coordinates see.
        outputs: P.
        hidden: Widths of the hidden layers.
        activation: Their activation.
        residual: Whether hidden layers add up.
        magnitudes: Whether the first layer sees |x| - sqrt(2/pi) beside x.

    Raises:
        ConfigError: ``residual`` with layers of different widths.

    Example:
        >>> net = MaskedNet([1, 0], 0, outputs=5, hidden=[16, 16])
        >>> net(torch.randn(2, 7)).shape
        torch.Size([5, 2, 7])
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
        """Return the numbers of all coordinates.

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
        """Find the coordinates one after the other, each with the numbers made from those before.

        Args:
            y: What ``solve`` takes for every coordinate, shape ``(d, n)``.
            c: Conditions, shape ``(k, n)``.
            solve: Called with a coordinate's numbers, ``(P, 1, n)``, and its y, ``(1, n)``; returns
                its value and a second result, ``(1, n)`` both.

        Returns:
            The coordinates, shape ``(d, n)``, and the sum over them of the second results.
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
        """Return what the first layer sees of coordinates and conditions."""
        seen = torch.cat([x.clamp(-self.reach, self.reach), c])
        return torch.cat([seen, seen.abs() - _MEAN]) if self.magnitudes else seen


class _MaskedLinear(nn.Module):
    """W x + b of columns x, where no output sees an input of a higher degree.

    Args:
        degrees: Of the inputs.
        units: Degrees of the outputs.
        zero: Whether it is zero when new.
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
        """Return all outputs."""
        return product(self.weight * self.mask, x, self.bias[:, None])

    def of(self, units: slice, inputs: slice | list[int], x: Tensor) -> Tensor:
        """Return some outputs from the inputs that they see, all others being masked."""
        return torch.addmm(self.bias[units, None], self.weight[units][:, inputs], x)
