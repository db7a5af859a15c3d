"""The map between the coordinates of two preprocessings of the same columns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wopt import Bijection
from wopt.data import KNOTS, AffineTransform, QuantileTransform


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
        return self._through(x, 0, 1)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return A(B^-1(y)), shape ``(n, d)``, and its log-det, ``(n,)``, of the dtype of y."""
        return self._through(y, 1, 0)

    def _through(self, x: Tensor, a: int, b: int) -> tuple[Tensor, Tensor]:
        """Return rows in the coordinates of the side b, given those of the side a, and log-det."""
        line, before = self._affine(a).inverse(x.double())
        line, unbent = self._bent(line, a, back=True)
        line, bent = self._bent(line, b)
        y, after = self._affine(b)(line)
        return y.to(x), (unbent + before + (after + bent)).to(x)

    def _affine(self, side: int) -> AffineTransform:
        return AffineTransform(self.shifts[side], self.matrices[side], self.inverses[side])

    def _bent(self, x: Tensor, side: int, *, back: bool = False) -> tuple[Tensor, Tensor]:
        """Return columns through the curves of a side, or back, and the sum of the log-slopes."""
        y, total = x.clone(), torch.zeros_like(x[:, 0])
        for j, knots in enumerate(self.curves[side]):
            there = knots[2] > 0  # slopes are zero where there is no knot
            if there.any():
                curve = QuantileTransform(*(tuple(part[there].tolist()) for part in knots))
                y[:, j], log_slope = (curve.inverse if back else curve)(y[:, j].contiguous())
                total = total + log_slope
        return y, total

    def _apply(self, fn: Any, recurse: bool = True) -> Recode:
        # Moved to a device, but not rounded: a column may lie far from zero.
        device = fn(torch.empty(0)).device
        return super()._apply(lambda t: t.to(device), recurse)  # type: ignore[no-untyped-call]
