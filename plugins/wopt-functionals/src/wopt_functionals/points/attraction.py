"""Interaction kernels W(z) = profile(|z|^2), by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from wopt_functionals.pairs.kernel import RadialKernel, root

KernelName = Literal["quadratic", "power", "log", "newtonian", "attraction_repulsion"]
NAMES: tuple[str, ...] = get_args(KernelName)


def radial(name: KernelName, strength: float, power: float, dim: int) -> RadialKernel:
    """Return the kernel in dimension ``dim``.

    Example:
        >>> float(radial("attraction_repulsion", 2.0, 1.0, dim=2).profile(torch.tensor(1.0)))
        -0.5
    """
    if name == "quadratic":
        return _Quadratic(strength)
    profiles: dict[str, Callable[[Tensor], Tensor]] = {
        "power": lambda s: _power(s, power),
        "log": lambda s: -torch.log(s) / 2,
        "newtonian": _green(dim),
        "attraction_repulsion": lambda s: s.square() / 4 - s / 2,
    }
    profile = profiles[name]
    return RadialKernel(lambda s: strength * profile(s))


class _Quadratic(RadialKernel):
    """a r^2/2, whose sums follow from mean and variance."""

    def __init__(self, strength: float) -> None:
        super().__init__(lambda squared: strength / 2 * squared)

    def without_pairs(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Return the sums for points x, shape ``(n,)``, by the mean of y, of weights v."""
        mean = v @ y
        return self.profile((x - mean).square().sum(1) + v @ (y - mean).square().sum(1))


def is_singular(name: KernelName, power: float) -> bool:
    """Return whether W(0) may be infinite, so that pairs (i, i) must be left out."""
    return name in ("log", "newtonian") or (name == "power" and power < 0)


def convexity(name: KernelName, strength: float, power: float) -> float | None:
    """Return lambda of the energy along any coupling, where W is lambda-convex in every dimension.

    A convex W gives 0 and not more, because interactions are invariant under translations.

    Source: docs/theory 2, row 11, with proof.
    """
    if name == "quadratic":
        return min(strength, 0.0)
    if name == "power" and strength >= 0 and power >= 1:
        return 0.0
    if name == "attraction_repulsion" and strength >= 0:
        return -strength
    return None


def _power(squared: Tensor, power: float) -> Tensor:
    # An even power above 2 needs no root, and keeps all its derivatives at zero.
    return root(squared).pow(power) if power < 2 else squared.pow(power / 2)


def _green(dim: int) -> Callable[[Tensor], Tensor]:
    """Return the fundamental solution of -Laplace: -Laplace W = delta_0."""
    if dim == 1:
        return lambda s: -root(s) / 2
    if dim == 2:
        return lambda s: -torch.log(s) / (4 * math.pi)
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    return lambda s: s.pow(1 - dim / 2) / ((dim - 2) * sphere)
