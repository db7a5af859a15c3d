"""Test fields of random waves, fitted in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.seeds import generator
from wopt.stein.form import SteinForm

__all__ = ["WaveField"]

_WAVES = 300
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_ROWS = 8000


class WaveField:
    """phi(y) = sum_j c_j sin(w_j . u + b_j),  u = (y - m)/s,  w_j ~ N(0, I/bandwidth^2).

    The coefficients c_j in R^d maximise  2 <xi, phi> - E|phi|^2 - ridge |c|^2,  one linear system
    for all coordinates; the ridge is the best on held-out rows.

    Source: Rahimi, Recht, *Random features for large-scale kernel machines*, 2007; docs/theory.md
    (4.1).

    Args:
        fit: The form to which the field is fitted.
        validation: The form on which the ridge is chosen.
        bandwidth: Bandwidth in units of the standard deviation of a coordinate.
        seed: Seed of the waves.
    """

    def __init__(self, fit: SteinForm, validation: SteinForm, bandwidth: float, seed: int) -> None:
        y = fit.points[:_ROWS]
        self.condition = fit.condition
        self.shift, self.scale = y.mean(0), y.std(0).clamp(min=1e-12)
        count = max(2, min(_WAVES, len(y) // 4))
        rng = generator(seed, "waves")
        waves = torch.randn(y.shape[1], count, generator=rng, dtype=torch.float64) / bandwidth
        phase = 2 * torch.pi * torch.rand(count, generator=rng, dtype=torch.float64)
        self.waves, self.phase = waves.to(y), phase.to(y)
        self.matrix = y.new_zeros(count, y.shape[1] - fit.condition)
        self._fit(fit.rows(slice(_ROWS)), validation)

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        return self._of(*self._angles(y.double()), self.matrix)

    def _angles(self, y: Tensor) -> tuple[Tensor, Tensor]:
        angle = (y - self.shift) / self.scale @ self.waves + self.phase
        return angle.sin(), angle.cos()

    def _slopes(self) -> Tensor:
        """Return dw_j/dy, shape ``(d, waves)``, of the coordinates that move."""
        moved = len(self.shift) - self.condition
        return (self.waves / self.scale[:, None])[:moved]

    def _of(self, sine: Tensor, cosine: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        divergence = cosine @ (self._slopes().T * matrix).sum(1)
        return torch.nn.functional.pad(sine @ matrix, (0, self.condition)), divergence

    def _fit(self, fit: SteinForm, validation: SteinForm) -> None:
        sine, cosine = self._angles(fit.points)
        n, moved = len(sine), self.matrix.shape[1]
        linear = sine.T @ fit.by_point[:, :moved] / n
        linear = linear + (cosine.T @ fit.by_log_det / n)[:, None] * self._slopes().T
        values, vectors = torch.linalg.eigh(sine.T @ sine / n)
        rotated = vectors.T @ linear
        waves = self._angles(validation.points)
        best = 0.0
        for ridge in _RIDGES:
            matrix = vectors @ (rotated / (values.clamp(min=0) + ridge)[:, None])
            phi, divergence = self._of(*waves, matrix)
            gain = float(
                validation.mean(2 * validation.along(phi, divergence) - phi.square().sum(1))
            )
            if gain > best:
                best, self.matrix = gain, matrix
