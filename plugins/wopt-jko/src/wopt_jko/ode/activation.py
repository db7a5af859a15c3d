"""Activations with their derivative, which the exact divergence needs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["Activation", "value", "value_and_slope"]

Activation = Literal["softplus", "silu", "tanh"]


def value(name: Activation, z: Tensor, sharpness: float) -> Tensor:
    """Return s(z) = a(sharpness z)/sharpness (for tanh: tanh(sharpness z))."""
    if name == "softplus":
        return F.softplus(z, beta=sharpness)
    if name == "silu":
        return z * torch.sigmoid(sharpness * z)
    return torch.tanh(sharpness * z)


def value_and_slope(name: Activation, z: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
    """Return ``(s(z), s'(z))``, both differentiable."""
    if name == "softplus":
        return F.softplus(z, beta=sharpness), torch.sigmoid(sharpness * z)
    if name == "silu":
        gate = torch.sigmoid(sharpness * z)
        s = z * gate
        return s, gate + sharpness * s * (1 - gate)
    s = torch.tanh(sharpness * z)
    return s, sharpness * (1 - s * s)
