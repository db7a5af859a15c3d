"""The best affine test field of a Stein form."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.stein.form import SteinForm

__all__ = ["AffineField"]


class AffineField:
    """phi(y) = C^T (y, 1), the maximiser of  2 <xi, phi> - E|phi|^2  over affine fields.

    The maximum over all fields is affine where all laws are Gaussian and the maps affine.

    Args:
        form: The Stein form of xi.
    """

    def __init__(self, form: SteinForm) -> None:
        d = form.points.shape[1] - form.condition
        features = self._features(form.points)
        weighted = features if form.weights is None else form.weights[:, None] * features
        scale = len(features) if form.weights is None else 1
        linear = weighted.T @ form.by_point[:, :d] / scale
        linear[:d] += float(form.mean(form.by_log_det)) * torch.eye(d).to(linear)
        self.condition = form.condition
        self.matrix: Tensor = _solved(weighted.T @ features / scale, linear)

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        d = self.matrix.shape[1]
        divergence = self.matrix[:d].diagonal().sum().expand(len(y))
        field = self._features(y.double()) @ self.matrix
        return torch.nn.functional.pad(field, (0, self.condition)), divergence

    @staticmethod
    def _features(y: Tensor) -> Tensor:
        return torch.cat([y, y.new_ones(len(y), 1)], dim=1)


def _solved(gram: Tensor, right: Tensor) -> Tensor:
    """Return the solution of least norm, by the eigenvalues of a positive semidefinite matrix."""
    # ``torch.linalg.lstsq`` uses QR with pivots whose initial values are uninitialised memory, so
    # its last bits, and now and then its rank, vary (github.com/pytorch/pytorch/issues/187411).
    if not gram.isfinite().all():
        return torch.full_like(right, torch.nan)
    values, vectors = torch.linalg.eigh(gram)
    least = len(gram) * torch.finfo(gram.dtype).eps * values.abs().amax()
    inverse = torch.where(values > least, 1 / values, 0)
    return vectors @ (inverse[:, None] * (vectors.T @ right))
