"""Test fields that point from a centre and depend on the distance alone: shells and heavy tails."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.stein.form import SteinForm

__all__ = ["RadialField"]

_CENTRES = 9
_REACH, _WIDTH = 3.0, 0.75
"""Reach and width of the bumps, in standard deviations of the logarithm of the distance."""
_RIDGES = (1e-8, 1e-6, 1e-4, 1e-2)


class RadialField:
    """The best field phi(y) = (y - m) b(t),  t = log |y - m|,  b a sum of bumps.

        b(t) = sum_k c_k exp(-(t - t_k)^2/(2 w^2)) + c,    div phi = d b + b'(t).

    The ten coefficients, in any dimension, maximise  2 <xi, phi> - E|phi|^2  with the ridge that is
    best on other rows.

    Args:
        fit: The form to which the field is fitted.
        validation: The form on which the ridge is chosen.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> y = torch.randn(4000, 5, generator=rng, dtype=torch.float64)
        >>> one = torch.ones(4000).double()  # xi = grad log p + y/2 for p = N(0, I): -y/2
        >>> form = SteinForm(y, y / 2, -one, None)
        >>> phi, divergence = RadialField(form, form)(y)
        >>> form.size(phi, divergence)[0] > 0.95 * (5 / 4) ** 0.5  # |xi| = sqrt(5)/2
        True
    """

    def __init__(self, fit: SteinForm, validation: SteinForm) -> None:
        moved = fit.points.shape[1] - fit.condition
        self.condition, self.centre = fit.condition, fit.points[:, :moved].mean(0)
        logs = self._outward(fit.points)[1]
        self.shift, self.scale = float(logs.mean()), max(float(logs.std()), 1e-6)
        self.coefficients = fit.points.new_zeros(_CENTRES + 1)
        self._fit(fit, validation)

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        way, logs = self._outward(y.double())
        bumps, slopes = self._bumps(logs)
        b = bumps @ self.coefficients
        divergence = way.shape[1] * b + slopes @ self.coefficients
        return torch.nn.functional.pad(way * b[:, None], (0, self.condition)), divergence

    def _outward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return y - m of the coordinates that move, and log |y - m|."""
        way = y[:, : len(self.centre)] - self.centre
        return way, way.norm(dim=1).clamp(min=1e-12).log()

    def _bumps(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the functions of t and their derivatives, the last one constant."""
        centres = torch.linspace(-_REACH, _REACH, _CENTRES).to(logs)
        u = (((logs - self.shift) / self.scale)[:, None] - centres) / _WIDTH
        bumps = (-u.square() / 2).exp()
        slopes = -u * bumps / (_WIDTH * self.scale)
        pad = torch.nn.functional.pad
        return pad(bumps, (0, 1), value=1.0), pad(slopes, (0, 1))

    def _fit(self, fit: SteinForm, validation: SteinForm) -> None:
        way, logs = self._outward(fit.points)
        bumps, slopes = self._bumps(logs)
        d, along = way.shape[1], (fit.by_point[:, : way.shape[1]] * way).sum(1)
        each = along[:, None] * bumps + fit.by_log_det[:, None] * (d * bumps + slopes)
        linear = fit.mean(each)
        gram = (bumps * way.square().sum(1, keepdim=True)).T @ bumps / len(way)
        size, eye, best = float(gram.diagonal().mean()), torch.eye(len(gram)).to(gram), 0.0
        kept = self.coefficients
        for ridge in _RIDGES:
            self.coefficients, singular = torch.linalg.solve_ex(gram + ridge * size * eye, linear)
            if singular:  # all rows are one point in float64
                continue
            phi, divergence = self(validation.points)
            squares = phi.square().sum(1)
            gain = float(validation.mean(2 * validation.along(phi, divergence) - squares))
            if gain > best:
                best, kept = gain, self.coefficients
        self.coefficients = kept
