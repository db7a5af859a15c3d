"""Velocity nets: what they share, and the net of two hidden layers."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from wopt_jko.ode import activation as act

__all__ = ["Field", "TwoLayerVelocity", "Velocity"]

Field = Callable[[float | Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""(t, z) to (v(t, z), div v(t, z)); the divergence is None where it was not asked for.

The time is one number, or a column ``(n, 1)``."""


class Velocity(nn.Module, abc.ABC):
    """A velocity v(t, z; c) of the coordinates z that move, given conditions c; zero when new.

    All nets begin with a layer u1 = W1 (z, c) + w t + b1. The divergence is by z.

    Args:
        dim: How many coordinates move.
        width: Width of the hidden layers.
        activation: ``softplus``, ``silu`` or ``tanh``.
        sharpness: Factor inside the activation.
        time: Whether the velocity depends on t.
        condition: How many coordinates are conditions.
    """

    closed: bool
    """Whether the divergence is in closed form in any dimension, so that no estimate is needed."""

    def __init__(
        self,
        dim: int,
        width: int,
        activation: act.Activation,
        sharpness: float,
        time: bool,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.activation: act.Activation = activation
        self.sharpness = sharpness
        self.first = nn.Linear(dim + condition, width)
        self.time = nn.Parameter(torch.zeros(width)) if time else None

    @abc.abstractmethod
    def field(
        self, divergence: bool, given: Tensor | None = None, probe: Tensor | None = None
    ) -> Field:
        """Return v, or v with its divergence, as a function of (t, z).

        What depends on the parameters and the conditions alone is computed once, for all calls; it
        takes up the sharpness, so that the activations are those of sharpness 1.

        Args:
            divergence: Whether it is wanted.
            given: The conditions of each row, shape ``(n, k)``; ``None`` if there are none.
            probe: Signs e of shape ``(n, m)``: nets without a closed form then return the estimate
                e . (Dv e), whose mean over e is the divergence.
        """

    @property
    def gain(self) -> float:
        """The factor between the net's activation and that of sharpness 1."""
        return act.gain(self.activation, self.sharpness)

    def begin(self, given: Tensor | None) -> tuple[Tensor, Callable[[float | Tensor], Tensor]]:
        """Return W1^T, shape ``(m, width)``, and t to what is added to z W1^T."""
        weight, bias = self.sharpness * self.first.weight, self.sharpness * self.first.bias
        drift = None if self.time is None else self.sharpness * self.time
        if given is not None:
            bias = torch.addmm(bias, given, weight[:, self.dim :].T)
            weight = weight[:, : self.dim]
        # Row-major, since products with a d x width factor are several times slower otherwise.
        return weight.T.contiguous(), lambda t: bias if drift is None else bias + t * drift

    def scaled(self, layers: Iterable[nn.Module]) -> tuple[list[Tensor], list[Tensor]]:
        """Return W^T and b of hidden layers after the first, from a(u) to the next u."""
        weights, biases = [], []
        for layer in layers:
            assert isinstance(layer, nn.Linear)
            weights.append((self.sharpness * self.gain * layer.weight).T)
            biases.append(self.sharpness * layer.bias)
        return weights, biases


class TwoLayerVelocity(Velocity):
    """v(t, x) = W3 s(W2 s(W1 x + w t + b1) + b2) + b3, zero when new.

    With z1, z2 the arguments of the two activations, the divergence is

        div v = s'(z2) . ((W2 * (W1 W3)^T) s'(z1)),

    one more matrix product at any dimension: no autograd, no noise.
    """

    closed = True

    def __init__(
        self,
        dim: int,
        width: int,
        activation: act.Activation,
        sharpness: float,
        time: bool,
        condition: int = 0,
    ) -> None:
        super().__init__(dim, width, activation, sharpness, time, condition)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def field(
        self, divergence: bool, given: Tensor | None = None, probe: Tensor | None = None
    ) -> Field:
        """Return v, or v with its exact divergence, as a function of (t, z)."""
        w1, shift = self.begin(given)
        (w2,), (b2,) = self.scaled([self.second])
        w3, b3 = (self.gain * self.last.weight).T, self.last.bias
        mixed = w2 * (w3 @ w1).T if divergence else None

        def velocity(t: float | Tensor, z: Tensor) -> tuple[Tensor, Tensor | None]:
            u1 = torch.addmm(shift(t), z, w1)
            if mixed is None:
                u2 = torch.addmm(b2, act.value(self.activation, u1), w2)
                return torch.addmm(b3, act.value(self.activation, u2), w3), None
            a1, s1 = act.value_and_slope(self.activation, u1)
            a2, s2 = act.value_and_slope(self.activation, torch.addmm(b2, a1, w2))
            return torch.addmm(b3, a2, w3), ((s1 @ mixed) * s2).sum(1)

        return velocity
