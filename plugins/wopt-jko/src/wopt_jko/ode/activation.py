"""Activations with their derivatives, which the exact divergence needs.

They are written in u = sharpness z, since both factors of s(z) = gain a(u) can go into the weights
around it, where they cost nothing.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Activation", "curvature", "gain", "value", "value_and_slope"]

Activation = Literal["softplus", "silu", "tanh"]


def gain(name: Activation, sharpness: float) -> float:
    """Return s(z)/a(sharpness z): s is a(sharpness z)/sharpness, but for tanh tanh(sharpness z)."""
    return 1.0 if name == "tanh" else 1.0 / sharpness


def value(name: Activation, u: Tensor) -> Tensor:
    """Return a(u)."""
    if name == "softplus":
        # torch goes over to u itself where the rest is below this; at its default, too early.
        return F.softplus(u, threshold=40)
    return torch.tanh(u) if name == "tanh" else F.silu(u)


def value_and_slope(name: Activation, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(a(u), a'(u))``, both differentiable."""
    if name == "softplus":
        if torch.compiler.is_compiling():  # which writes code of its own, and none of a jvp's
            return value(name, u), torch.sigmoid(u)
        return _Softplus.apply(u)  # type: ignore[no-untyped-call]
    if name == "silu":
        gate = torch.sigmoid(u)
        a = u * gate
        return a, gate + a * (1 - gate)
    a = torch.tanh(u)
    return a, 1 - a * a


def curvature(name: Activation, u: Tensor, a: Tensor, slope: Tensor) -> Tensor:
    """Return a''(u), given a(u) and a'(u)."""
    if name == "softplus":
        return slope * (1 - slope)
    if name == "silu":
        gate = torch.sigmoid(u)
        return (1 - gate) * (2 * gate + a * (1 - 2 * gate))
    return -2 * a * slope


class _Softplus(torch.autograd.Function):
    """u to (log(1 + e^u), its slope): torch's softplus costs five sigmoids, and again backwards.

    Here log(1 + e^u) = -log sigmoid(-u), to the absolute precision of the dtype; where sigmoid(-u)
    would underflow, it is u itself. All derivatives follow from the slope, which is at hand.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor) -> tuple[Tensor, Tensor]:
        largest = -math.log(torch.finfo(u.dtype).tiny) - 5
        rest = u.clamp(max=largest).neg_().sigmoid_()
        return torch.maximum(rest.log().neg_(), u), rest.neg_().add_(1)

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        slope = output[1]
        ctx.save_for_backward(slope)
        ctx.save_for_forward(slope)

    @staticmethod
    def backward(ctx: Any, to_value: Tensor, to_slope: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return slope * torch.addcmul(to_value + to_slope, to_slope, slope, value=-1)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> tuple[Tensor, Tensor]:
        (slope,) = ctx.saved_tensors
        first = slope * tangent
        return first, first - first * slope


# torch asks for the signature at every call; told once, a call costs two thirds of what it did.
_Softplus.forward.__signature__ = inspect.signature(_Softplus.forward)  # type: ignore[attr-defined]
