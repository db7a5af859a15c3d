"""Activations with their derivatives, which the exact divergence needs.

They are functions of u = sharpness z, since both factors of s(z) = gain a(u) can go into the
weights around it, where they cost nothing.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Literal["softplus", "silu", "tanh"]


def gain(name: Activation, sharpness: float) -> float:
    """Return s(z)/a(sharpness z): 1 for tanh, which stays bounded by 1, else 1/sharpness."""
    return 1.0 if name == "tanh" else 1.0 / sharpness


def value(name: Activation, u: Tensor) -> Tensor:
    """Return a(u), elementwise, in the shape of u."""
    if name == "softplus":
        # torch returns u itself above the threshold; its default is too low for float64.
        return F.softplus(u, threshold=40)
    return torch.tanh(u) if name == "tanh" else F.silu(u)


def value_and_slope(name: Activation, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(a(u), a'(u))``, both differentiable and in the shape of u."""
    if name == "softplus":
        if torch.compiler.is_compiling():  # the compiler fuses this and cannot compile a jvp
            return value(name, u), torch.sigmoid(u)
        return _Softplus.apply(u)  # type: ignore[no-untyped-call]
    if name == "silu":
        gate = torch.sigmoid(u)
        a = u * gate
        return a, gate + a * (1 - gate)
    a = torch.tanh(u)
    return a, 1 - a * a


def curvature(name: Activation, u: Tensor, a: Tensor, slope: Tensor) -> Tensor:
    """Return a''(u), given a(u) and a'(u), all of one shape."""
    if name == "softplus":
        return slope * (1 - slope)
    if name == "silu":
        gate = torch.sigmoid(u)
        return (1 - gate) * (2 * gate + a * (1 - 2 * gate))
    return -2 * a * slope


class _Softplus(torch.autograd.Function):
    """Map u to (log(1 + e^u), its slope), with fewer operations than torch's softplus.

    Here log(1 + e^u) = -log sigmoid(-u), to the absolute precision of the dtype; where sigmoid(-u)
    would underflow, it is u itself. All derivatives follow from the slope, which is saved.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor) -> tuple[Tensor, Tensor]:
        """Return log(1 + e^u) and its slope, in the shape of u."""
        largest = -math.log(torch.finfo(u.dtype).tiny) - 5
        rest = u.clamp(max=largest).neg_().sigmoid_()
        return torch.maximum(rest.log().neg_(), u), rest.neg_().add_(1)

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        """Save the slope, in the shape of u."""
        slope = output[1]
        ctx.save_for_backward(slope)
        ctx.save_for_forward(slope)

    @staticmethod
    def backward(ctx: Any, to_value: Tensor, to_slope: Tensor) -> Tensor:
        """Return the gradient by u, in its shape."""
        (slope,) = ctx.saved_tensors
        return slope * torch.addcmul(to_value + to_slope, to_slope, slope, value=-1)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tangents of both results, in the shape of u."""
        (slope,) = ctx.saved_tensors
        first = slope * tangent
        return first, first - first * slope


# torch asks for the signature at every call; setting it once makes calls cheaper.
_Softplus.forward.__signature__ = inspect.signature(_Softplus.forward)  # type: ignore[attr-defined]
