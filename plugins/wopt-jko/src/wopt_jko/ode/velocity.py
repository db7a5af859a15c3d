"""The velocity net of two hidden layers, with its divergence in closed form."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wopt_jko.ode import activation as act

__all__ = ["Field", "TwoLayerVelocity"]

Field = Callable[[float | Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""(t, x) to (v(t, x), div v(t, x)); the divergence is None where it was not asked for.

The time is one number, or a column ``(n, 1)``."""


class TwoLayerVelocity(nn.Module):
    """v(t, x) = W3 s(W2 s(W1 x + w t + b1) + b2) + b3, zero when new.

    With z1, z2 the arguments of the two activations, the divergence is

        div v = s'(z2) . ((W2 * (W1 W3)^T) s'(z1)),

    one more matrix product at any dimension: no autograd, no noise.

    Args:
        dim: Dimension d.
        width: Width of both hidden layers.
        activation: ``softplus``, ``silu`` or ``tanh``.
        sharpness: Factor inside the activation.
        time: Whether the velocity depends on t.
    """

    def __init__(
        self, dim: int, width: int, activation: act.Activation, sharpness: float, time: bool
    ) -> None:
        super().__init__()
        self.activation: act.Activation = activation
        self.sharpness = sharpness
        self.first = nn.Linear(dim, width)
        self.time = nn.Parameter(torch.zeros(width)) if time else None
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def field(self, divergence: bool) -> Field:
        """Return v, or v with its divergence, as a function of (t, x).

        What depends on the parameters alone is computed once, for all calls; it takes up the
        sharpness, so that the activations are those of sharpness 1.
        """
        gain = act.gain(self.activation, self.sharpness)
        # Row-major, since products with a d x width factor are several times slower otherwise.
        w1 = (self.sharpness * self.first.weight).T.contiguous()
        w2 = (self.sharpness * gain * self.second.weight).T
        w3 = (gain * self.last.weight).T
        b1, b2 = self.sharpness * self.first.bias, self.sharpness * self.second.bias
        b3 = self.last.bias
        drift = None if self.time is None else self.sharpness * self.time
        mixed = w2 * (w3 @ w1).T if divergence else None

        def velocity(t: float | Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
            u1 = torch.addmm(b1 if drift is None else b1 + t * drift, x, w1)
            if mixed is None:
                u2 = torch.addmm(b2, act.value(self.activation, u1), w2)
                return torch.addmm(b3, act.value(self.activation, u2), w3), None
            a1, s1 = act.value_and_slope(self.activation, u1)
            a2, s2 = act.value_and_slope(self.activation, torch.addmm(b2, a1, w2))
            return torch.addmm(b3, a2, w3), ((s1 @ mixed) * s2).sum(1)

        return velocity
