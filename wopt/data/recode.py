"""The map between the coordinates of two preprocessings of the same columns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wopt.bijection import Bijection
from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.quantile_transform import QuantileTransform
from wopt.data.table_transform import KNOTS
from wopt.data.transform import AffineTransform


class Recode(Bijection):
    """The map B o A^-1 of points in the coordinates of a preprocessing A to those of another, B.

    Both are affine maps after curves of the same columns, of which these tensors are a copy, in
    float64 whatever the points are. A new one is the identity.

    Args:
        dim: Number of columns d.

    Example:
        >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)).double() * 3 + 1
        >>> a, b = (AffineTransform.fit(x, how) for how in ("standardise", "whiten"))
        >>> y, log_det = Recode.between(a, b)(a.move(x))
        >>> bool(torch.allclose(y, b.move(x))), bool(torch.allclose(log_det, b(x)[1] - a(x)[1]))
        (True, True)
    """

    shifts: Tensor
    matrices: Tensor
    inverses: Tensor
    curves: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        eye = torch.eye(dim, dtype=torch.float64)
        self.register_buffer("shifts", torch.zeros(2, dim, dtype=torch.float64))
        self.register_buffer("matrices", torch.stack([eye, eye]))
        self.register_buffer("inverses", torch.stack([eye, eye]))
        self.register_buffer("curves", torch.zeros(2, dim, 3, KNOTS, dtype=torch.float64))

    @classmethod
    def between(cls, a: AffineTransform, b: AffineTransform) -> Recode:
        """Return the map from the coordinates of a to those of b."""
        made = cls(len(a.shift))
        for side, of in enumerate((a, b)):
            made.shifts[side] = of.shift
            made.matrices[side] = of.matrix
            made.inverses[side] = of.inverse_matrix
            for j, column in enumerate(of.columns.moved if of.columns else ()):
                if (curve := column.curve) is not None:
                    parts = torch.tensor([curve.x, curve.z, curve.slopes], dtype=torch.float64)
                    made.curves[side, j, :, : parts.shape[1]] = parts
        return made

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return B(A^-1(x)), shape ``(n, d)``, and its log-det, ``(n,)``, of the dtype of x."""
        return self._through(x, *self._sides())

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return A(B^-1(y)), shape ``(n, d)``, and its log-det, ``(n,)``, of the dtype of y."""
        return self._through(y, *reversed(self._sides()))

    def _through(self, x: Tensor, a: AffineTransform, b: AffineTransform) -> tuple[Tensor, Tensor]:
        line, before = a.inverse(x.double())
        y, after = b(line)
        return y.to(x), (before + after).to(x)

    def _sides(self) -> list[AffineTransform]:
        """Return A and B as functions of columns on the line."""
        sides = []
        for shift, matrix, inverse, curves in zip(*self.buffers(), strict=True):
            sides.append(AffineTransform(shift, matrix, inverse))
            if bool(curves.any()):
                of = [(f"x{j}", _curve(knots)) for j, knots in enumerate(curves)]
                sides[-1].columns = Columns(tuple(Column(name, curve=c) for name, c in of))
        return sides

    def _apply(self, fn: Any, recurse: bool = True) -> Recode:
        # Moved to a device, but not rounded: a column may lie far from zero.
        device = fn(torch.empty(0)).device
        return super()._apply(lambda t: t.to(device), recurse)  # type: ignore[no-untyped-call]


def _curve(knots: Tensor) -> QuantileTransform | None:
    """Return the curve of knots, shape ``(3, k)``, whose slopes are zero where there is none."""
    there = knots[2] > 0
    if not there.any():
        return None
    return QuantileTransform(*(tuple(part[there].tolist()) for part in knots))
