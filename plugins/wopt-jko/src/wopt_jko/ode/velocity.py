"""The common base of velocity nets."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from wopt.precision import Rounding
from wopt_jko.ode import activation as act

Field = Callable[[float | Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""A function from (t, z) to (v, div v), ``(n, m)`` and ``(n,)``; div v is None unless asked for.

The time is one number, or a column ``(n, 1)``."""


@dataclasses.dataclass(frozen=True)
class NetShape:
    """Sizes and activation, common to all nets.

    Attributes:
        dim: Number m of coordinates that move.
        activation: ``softplus``, ``silu`` or ``tanh``.
        time: Whether the velocity depends on t.
    """

    dim: int
    width: int
    activation: act.Activation
    sharpness: float
    time: bool
    condition: int = 0


class Velocity(Rounding, abc.ABC):
    """A velocity v(t, z; c) of the coordinates z that move, given conditions c; zero at the start.

    All nets begin with a layer u1 = W1 (z, c) + w t + b1. The divergence is by z.
    """

    closed: bool
    """Whether the divergence is in closed form in any dimension, so that no estimate is needed."""

    def __init__(self, shape: NetShape, depth: int) -> None:
        super().__init__()
        self.dim = shape.dim
        self.activation: act.Activation = shape.activation
        self.sharpness = shape.sharpness
        self.first = nn.Linear(shape.dim + shape.condition, shape.width)
        self.time = nn.Parameter(torch.zeros(shape.width)) if shape.time else None
        self.hidden = nn.ModuleList(nn.Linear(shape.width, shape.width) for _ in range(depth - 1))

    @abc.abstractmethod
    def field(
        self, divergence: bool, given: Tensor | None = None, probe: Tensor | None = None
    ) -> Field:
        """Return (t, z) -> (v, its divergence or None), shapes ``(n, m)`` and ``(n,)``.

        Terms that depend on parameters and conditions alone are computed once, for all calls. The
        sharpness is absorbed in them, so that the activations are those of sharpness 1.

        Args:
            divergence: Whether to compute the divergence.
            given: The conditions of each row, shape ``(n, k)``; ``None`` if there are none.
            probe: Signs e of shape ``(n, m)``: nets without a closed form then return the estimate
                e . (Dv e), whose mean over e is the divergence.
        """

    @property
    def gain(self) -> float:
        """The factor between the net's activation and that of sharpness 1."""
        return act.gain(self.activation, self.sharpness)

    def begin(self, given: Tensor | None) -> tuple[Tensor, Callable[[float | Tensor], Tensor]]:
        """Return W1^T, shape ``(m, width)``, and the function from t to u1 - z W1^T."""
        weight, bias = self.sharpness * self.first.weight, self.sharpness * self.first.bias
        drift = None if self.time is None else self.sharpness * self.time
        if given is not None:
            bias = torch.addmm(bias, given, weight[:, self.dim :].T)
            weight = weight[:, : self.dim]
        # Row-major, since products with a d x width factor are several times slower otherwise.
        return weight.T.contiguous(), lambda t: bias if drift is None else bias + t * drift

    def scaled(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return W^T and b, shapes ``(width, width)``, ``(width,)``, of later hidden layers."""
        weights, biases = [], []
        for layer in self.hidden:
            assert isinstance(layer, nn.Linear)
            weights.append((self.sharpness * self.gain * layer.weight).T)
            biases.append(self.sharpness * layer.bias)
        return weights, biases
