"""The preprocessing of a table whose columns are bounded, discrete or have curves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.gaussianise import gaussianised
from wopt.data.sizes import check_size
from wopt.data.transform import Affine, AffineTransform, How
from wopt.errors import DataError
from wopt.statistics import some

__all__ = ["TableTransform", "fit_transform"]

_MOST_BENT, _LEAST_BENT = 2**21, 10_000
"""Largest number of values, and least number of rows, to which curves are fitted."""


class TableTransform(AffineTransform):
    """The columns' map E to the line, then an affine map:  z = (E(x) - shift) @ matrix^T.

    Rows are in the data's units. The log-det is the sum of the affine one and of a part that
    depends on the row, :meth:`row_log_det`.

    Args:
        affine: The affine map.
        columns: Descriptions of the columns.

    Example:
        >>> import torch
        >>> from wopt.data.columns import Column
        >>> x = torch.rand(100, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> t = fit_transform(x, "standardise", Columns((Column("p", ends=(0.0, 1.0)),)))
        >>> bool(torch.allclose(t.inverse(t(x)), x))
        True
    """

    columns: Columns

    def __init__(self, affine: AffineTransform, columns: Columns) -> None:
        super().__init__(affine.shift, affine.matrix, affine.inverse_matrix, affine.condition)
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        """Return rows ``(n, d)`` of the data in the flow's coordinates."""
        return super().forward(self.columns.encode(x.to(self.shift)))

    def inverse(self, z: Tensor) -> Tensor:
        """Return rows ``(n, d)`` in the data's units, discrete columns not rounded."""
        return self.columns.decode(super().inverse(z))

    def row_log_det(self, x: Tensor) -> Tensor:
        """Return log |det DE(x)|, shape ``(n,)``, nats."""
        return self.columns.log_det(x.to(self.shift))

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        bent = any(column.bent for column in self.columns.moved)
        return not bent and super().is_identity


def fit_transform(train: Tensor, how: How, columns: Columns) -> AffineTransform:
    """Fit the preprocessing of columns on training rows, shape ``(n, d)``, in the data's units.

    Evenly spaced rows are used if there are many, or all of them if a column is constant on those.

    Raises:
        DataError: Columns have no density, or there are too few rows to whiten.
    """
    few = some(train)
    try:
        return _fit(few, how, columns)
    except DataError:
        if len(few) == len(train):
            raise
        return _fit(train, how, columns)


_AFFINE: dict[How, Affine] = {
    "none": "none", "standardise": "standardise", "whiten": "whiten", "gaussianise": "whiten",
    "marginals": "standardise", "principal": "rotate",
}  # fmt: skip
"""The affine map of each choice, which follows the curves of columns, if any."""

_CURVED = ("gaussianise", "marginals", "principal")


def _fit(train: Tensor, how: How, columns: Columns) -> AffineTransform:
    encoded = columns.encode(train.double())
    if how in _CURVED:
        check_size(encoded, columns.names)  # samples are as large as the data
        most = max(_LEAST_BENT, _MOST_BENT // train.shape[1])
        few = train[:: max(1, math.ceil(len(train) / most))]
        columns = gaussianised(columns, columns.encode(few.double()))
        encoded = columns.encode((few if columns.curves else train).double())
    for j, column in enumerate(columns.columns):
        if column.mask and bool((encoded[:, j] == encoded[0, j]).all()):
            # A value that is rarely missing may never be in training rows; give 0 and 1 a scale.
            encoded[:, j] = torch.arange(len(encoded)) % 2
    affine = AffineTransform.fit(encoded, _AFFINE[how], columns.names, columns.condition)
    return affine if columns.plain else TableTransform(affine, columns)
