"""Monotone networks as maps of one variable: zuko's MNN beside a straight line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from zuko.flows.neural import MNN
from zuko.transforms import MonotonicAffineTransform, MonotonicTransform

from wopt_zuko.univariate import SLOPE, Univariate

_NEW = 1e-30
"""Weights of a new network's last layer. zuko takes their absolute value, which has no gradient at
zero, so they are not zero."""

_ITERATIONS = 200


class Neural(Univariate):
    """exp(a) x + b + f(x; s), f zuko's monotone network, with parameters a, b and the signal s.

    The line makes it the identity at the start, and onto, which f alone need not be: the slope is
    at least SLOPE.
    """

    def __init__(self, features: int, signal: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.shapes = ((), (), (signal,))
        self.net = MNN(signal=signal, stack=features, hidden_features=tuple(widths))
        with torch.no_grad():
            last = self.net.network[-1]
            last.weight.fill_(_NEW)
            last.bias.zero_()

    def forward(self, shift: Tensor, scale: Tensor, signal: Tensor) -> Any:
        """Return the transform for ``(..., d)``, ``(..., d)`` and ``(..., d, signal)``."""
        line = MonotonicAffineTransform(shift, scale, slope=SLOPE)
        phi = (shift, scale, signal, *self.net.parameters())
        return NeuralTransform(line, partial(self.net.f, signal), phi)


class NeuralTransform(MonotonicTransform):  # type: ignore[misc]
    """x -> line(x) + f(x), inverted on all of R.

    zuko's own inverse searches between -10 and 10 only. Here the line bounds the search: f rises,
    so T^-1(y) lies between 0 and (y - T(0)) / exp(a).
    """

    def __init__(self, line: MonotonicAffineTransform, f: Any, phi: Sequence[Tensor]) -> None:
        super().__init__(f=lambda x: line(x) + f(x), phi=phi)
        self.scale = line.scale

    def _inverse(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            x, slope = self._root(y)
        if not torch.is_grad_enabled():
            return x
        # One more step of Newton's method has the derivatives of the inverse.
        return x - (self.f(x) - y) / slope

    def _root(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the root and the slope there, by Newton's method within a bracket."""
        far = (y - self.f(torch.zeros_like(y))) / self.scale
        low, high = far.clamp(max=0.0), far.clamp(min=0.0)
        x, before = (low + high) / 2, high - low
        for _ in range(_ITERATIONS):
            value, log_slope = self.call_and_ladj(x)
            slope = log_slope.exp()
            low, high = torch.where(value <= y, x, low), torch.where(value >= y, x, high)
            newton = x - (value - y) / slope
            # Newton's steps must halve, or convergence is slow where f bends; NaN on overflow.
            good = (newton >= low) & (newton <= high) & ((newton - x).abs() <= before / 2)
            new = torch.where(good, newton, (low + high) / 2)
            before = (new - x).abs()
            done = before <= 2 * torch.finfo(x.dtype).eps * (1 + x.abs())
            x = new
            if bool(done.all()):
                break
        return x, slope
