"""The velocity net that is the gradient of a potential."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wopt_jko.ode import activation as act
from wopt_jko.ode.tangents import by_rows
from wopt_jko.ode.velocity import Field, NetShape, Velocity


class GradientVelocity(Velocity):
    """v = grad_z p of p(t, z) = a . S(z_L) + b . z, S' = s, zero at the start.

    z_1 = W1 z + w t + b1 and z_{l+1} = W_{l+1} s(z_l) + b_{l+1} are the layers. By the chain rule,

        v = W1^T g_1 + b,   g_L = a s(z_L),   g_l = s'(z_l) * (W_{l+1}^T g_{l+1}),

    and the divergence is the Laplacian of p, which is a sum over the layers,

        div v = sum_l c_l . |grad z_l|^2,   c_L = a s'(z_L),   c_l = s''(z_l) * (W_{l+1}^T g_{l+1}).

    |grad z_1|^2 is the squared rows of W1, so for L = 1 it is a closed form in any dimension: no
    product with a width x width matrix at all. For L > 1 the gradients of the later layers are m
    tangents carried forward, exactly; a probe e takes the single tangent along e instead.

    Dv is symmetric, so that T = id + Dv + ... is, to first order, the gradient of a potential, as
    optimal maps are; one Euler step is such a gradient.

    Source: the use of a potential and its exact trace follow Onken, Wu Fung, Li, Ruthotto,
    *OT-Flow*, 2021; the formula above is derived by differentiating v once more.
    """

    def __init__(self, shape: NetShape, depth: int = 1) -> None:
        super().__init__(shape, depth)
        self.outer = nn.Parameter(torch.zeros(shape.width))
        self.shift = nn.Parameter(torch.zeros(shape.dim))
        self.closed = depth == 1

    def field(
        self, divergence: bool, given: Tensor | None = None, probe: Tensor | None = None
    ) -> Field:
        """Return (t, z) -> (v, its divergence or None), shapes ``(n, m)`` and ``(n,)``."""
        w1, shift = self.begin(given)
        weights, biases = self.scaled()
        outer, constant = self.outer * (self.gain / self.sharpness), self.shift
        back = w1.T.contiguous()
        squares = w1.square().sum(0) if divergence else None
        tangent = None if probe is None or self.closed else probe @ w1

        def velocity(t: float | Tensor, z: Tensor) -> tuple[Tensor, Tensor | None]:
            """Return v and, where asked for, its divergence, shapes ``(n, m)`` and ``(n,)``."""
            u = self.product(z, w1, shift(t))
            arguments, values, slopes = [u], [], []
            for w, b in zip(weights, biases, strict=True):
                a, slope = act.value_and_slope(self.activation, u)
                u = self.product(a, w, b)
                arguments.append(u)
                values.append(a)
                slopes.append(slope)
            if squares is None:
                pulled = outer * act.value(self.activation, u)
            else:
                a, slope = act.value_and_slope(self.activation, u)
                pulled = outer * a
                bends = [outer * slope]
            for k in reversed(range(len(weights))):
                pulled = self.product(pulled, weights[k].T)
                if squares is not None:
                    bend = act.curvature(self.activation, arguments[k], values[k], slopes[k])
                    bends.append(pulled * bend)
                pulled = pulled * slopes[k]
            v = self.product(pulled, back, constant)
            if squares is None:
                return v, None
            return v, _laplacian(squares, w1, weights, slopes, bends[::-1], tangent)

        return velocity


def _laplacian(
    squares: Tensor,
    w1: Tensor,
    weights: list[Tensor],
    slopes: list[Tensor],
    bends: list[Tensor],
    tangent: Tensor | None,
) -> Tensor:
    """Return sum_l c_l . |grad z_l|^2, or that of the derivatives along a probe, shape ``(n,)``."""
    if not weights:
        return bends[0] @ squares

    def carried(first: Tensor, *rows: Tensor) -> Tensor:
        """Return the sum for tangents of z_1 and rows of slopes and bends, shape ``(n,)``."""
        tangents, total = first, rows[len(weights)] * first.square().sum(1)
        for k, weight in enumerate(weights):
            tangents = (tangents * rows[k][:, None]) @ weight
            total = total + rows[len(weights) + 1 + k] * tangents.square().sum(1)
        return total.sum(1)

    if tangent is not None:
        return carried(tangent[:, None], *slopes, *bends)
    return by_rows(lambda *rows: carried(w1[None], *rows), w1.numel(), *slopes, *bends)
