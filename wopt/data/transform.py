"""Invertible affine preprocessing, fitted on the training split, part of the likelihood."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from wopt.data.columns import Columns
from wopt.data.sizes import check_size
from wopt.errors import DataError
from wopt.particles import split_conditions

__all__ = ["Affine", "AffineTransform", "How"]

Affine = Literal["none", "standardise", "whiten", "rotate"]
How = Literal["none", "standardise", "whiten", "gaussianise", "marginals", "principal"]


class AffineTransform(nn.Module):
    """The map  z = (x - shift) @ matrix^T  from the data's units to the flow's coordinates.

    It computes in float64, on the device that it is on (in float32 where a device has no float64).

    Args:
        shift: Shift in the data's units, shape ``(d,)``.
        matrix: Shape ``(d, d)``; the log-det of a triangular one is cheap.
        inverse_matrix: Inverse of ``matrix``, shape ``(d, d)``.
        condition: Number of columns, the last ones, that are conditions, which are standardised
            separately and do not count in :attr:`log_det`.

    Example:
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double() * 3 + 1
        >>> t = AffineTransform.fit(x, "whiten")
        >>> bool(torch.allclose(t.inverse(t(x)), x))
        True
        >>> torch.cov(t(x).T).diagonal().round(decimals=6).tolist()
        [1.0, 1.0]
    """

    shift: Tensor
    matrix: Tensor
    inverse_matrix: Tensor
    columns: Columns | None = None
    """Descriptions of a table's columns; ``None`` for numbers on the whole line."""

    def __init__(
        self, shift: Tensor, matrix: Tensor, inverse_matrix: Tensor, condition: int = 0
    ) -> None:
        super().__init__()
        self.condition = condition
        moved = len(shift) - condition  # computed once: torch.export follows no branch on numbers
        self._triangular = not bool(matrix[:moved, :moved].triu(1).any())
        self.register_buffer("shift", shift)
        self.register_buffer("matrix", matrix)
        self.register_buffer("inverse_matrix", inverse_matrix)

    def __repr__(self) -> str:
        return f"AffineTransform({len(self.shift)} columns, log_det {float(self.log_det):.4g})"

    def _apply(self, fn: Any, recurse: bool = True) -> AffineTransform:
        if fn(torch.empty(0)).device.type == "mps":  # which has no float64
            super()._apply(lambda t: t.float())  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    @classmethod
    def fit(
        cls,
        x: Tensor,
        how: Affine,
        names: tuple[str, ...] | None = None,
        condition: int = 0,
    ) -> AffineTransform:
        """Fit the map on training rows.

        Args:
            x: Training rows, shape ``(n, d)``.
            how: ``none``; ``standardise`` each column to mean 0 and variance 1; ``whiten`` to
                mean 0 and identity covariance (by the inverse Cholesky factor); ``rotate``
                likewise, to the principal components of the standardised columns in falling order
                of their variance.
            names: Column names, for messages.
            condition: Number of columns, the last ones, that are conditions.

        Raises:
            DataError: A column is constant, or columns are linearly dependent.
        """
        if condition:
            return cls._conditional(x, how, names, condition)
        d = x.shape[1]
        eye = torch.eye(d, dtype=torch.float64)
        if how == "none":
            return cls(torch.zeros(d, dtype=torch.float64), eye, eye)
        x = x.double()
        names = names or tuple(f"x{j}" for j in range(d))
        check_size(x, names)
        shift, scale = x.mean(0), x.std(0)
        constant = [names[j] for j in range(d) if not scale[j] > 1e-12 * shift[j].abs()]
        if constant:
            raise DataError(
                f"column(s) {', '.join(constant)} do not vary, so they have no density; leave them "
                'out (`columns`), or keep them by preprocess = "none" with a smooth_time'
            )
        if how == "standardise":
            return cls(shift, torch.diag(1 / scale), torch.diag(scale))
        # The correlation matrix is factored, not the covariance, so that units do not matter.
        correlation = torch.cov(((x - shift) / scale).T).reshape(d, d)
        if len(x) <= d or torch.linalg.eigvalsh(correlation)[0] < 1e-10:
            raise DataError(
                f"the covariance of the {len(x)} training rows is singular in {d} dimensions (a "
                "column is a linear combination of others, or there are too few rows), so there "
                'is no density to whiten; leave columns out or use preprocess = "standardise"'
            )
        if how == "rotate":
            values, vectors = (part.flip(-1) for part in torch.linalg.eigh(correlation))
            # A component's sign is arbitrary: its largest weight is made positive.
            peaks = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
            vectors, root = vectors * peaks.sign(), values.sqrt()
            matrix, back = (vectors / root).T / scale, scale[:, None] * vectors * root
            return cls(shift, matrix.contiguous(), back.contiguous())
        factor = torch.diag(scale) @ torch.linalg.cholesky(correlation)
        return cls(shift, torch.linalg.solve_triangular(factor, eye, upper=False), factor)

    @classmethod
    def _conditional(
        cls,
        x: Tensor,
        how: Affine,
        names: tuple[str, ...] | None,
        condition: int,
    ) -> AffineTransform:
        moved, given = split_conditions(x, condition)
        first = cls.fit(moved, how, None if names is None else names[:-condition])
        last = cls.fit(
            given,
            "none" if how == "none" else "standardise",
            None if names is None else names[-condition:],
        )
        return cls(
            torch.cat([first.shift, last.shift]),
            torch.block_diag(first.matrix, last.matrix),
            torch.block_diag(first.inverse_matrix, last.inverse_matrix),
            condition,
        )

    @property
    def log_det(self) -> Tensor:
        """log |det| of the map, shape ``()``, nats, for likelihoods in the data's units."""
        moved = len(self.shift) - self.condition
        matrix = self.matrix[:moved, :moved]
        if self._triangular:
            return matrix.diagonal().abs().log().sum()
        return torch.linalg.slogdet(matrix)[1]

    @property
    def is_identity(self) -> bool:
        """Whether it is the identity."""
        eye = torch.eye(len(self.shift)).to(self.matrix)
        return not bool(self.shift.any()) and torch.equal(self.matrix, eye)

    @property
    def coarse(self) -> bool:
        """Whether float32 resolves a column to worse than 1e-4 of its spread."""
        spread = torch.linalg.vector_norm(self.inverse_matrix, dim=1)
        return bool((self.shift.abs() * torch.finfo(torch.float32).eps > 1e-4 * spread).any())

    def row_log_det(self, x: Tensor) -> Tensor | None:
        """Return the part of log |det| that depends on the row, ``(n,)``; ``None`` if it is zero.

        See :class:`~wopt.data.table_transform.TableTransform`.
        """
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Return rows ``(n, d)`` of the data in the flow's coordinates."""
        return (x.to(self.shift) - self.shift) @ self.matrix.T

    def inverse(self, z: Tensor) -> Tensor:
        """Return rows ``(n, d)`` in the data's units."""
        return z.to(self.shift) @ self.inverse_matrix.T + self.shift
