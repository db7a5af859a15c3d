"""The preprocessing of a table whose columns are bounded, discrete or bent to be normal."""

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
"""Values that curves and what follows them are fitted to at most, a second of work, and rows."""


class TableTransform(AffineTransform):
    """The columns' map E to the line, then an affine map:  z = (E(x) - shift) @ matrix^T.

    Rows are in the data's units. The log-det has a part that depends on the row,
    :meth:`row_log_det`, beside the affine one.

    Args:
        affine: The affine map.
        columns: What the columns are.

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
        """Return the flow's coordinates."""
        return super().forward(self.columns.encode(x.to(self.shift)))

    def inverse(self, z: Tensor) -> Tensor:
        """Return the data's units, discrete columns not rounded."""
        return self.columns.decode(super().inverse(z))

    def row_log_det(self, x: Tensor) -> Tensor:
        """Return log |det DE(x)|, shape ``(n,)``."""
        return self.columns.log_det(x.to(self.shift))

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        bent = any(column.bent for column in self.columns.moved)
        return not bent and super().is_identity


def fit_transform(train: Tensor, how: How, columns: Columns) -> AffineTransform:
    """Fit the preprocessing of columns on training rows, shape ``(n, d)``, in the data's units.

    Of many rows some 100,000, evenly spaced, tell means and covariances to 0.3 % of a deviation;
    all are looked at where a column does not vary in these.

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
"""The affine map of each, which comes after the curves of columns where there are some."""

_CURVED = ("gaussianise", "marginals", "principal")


def _fit(train: Tensor, how: How, columns: Columns) -> AffineTransform:
    encoded = columns.encode(train.double())
    if how in _CURVED:
        check_size(encoded, columns.names)  # curves have straight ends: samples are as large
        most = max(_LEAST_BENT, _MOST_BENT // train.shape[1])
        few = train[:: max(1, math.ceil(len(train) / most))]
        columns = gaussianised(columns, columns.encode(few.double()))
        encoded = columns.encode((few if columns.curves else train).double())
    for j, column in enumerate(columns.columns):
        if column.mask and bool((encoded[:, j] == encoded[0, j]).all()):
            # What is seldom missing may be missing in no training row: a scale for 0 and 1 then.
            encoded[:, j] = torch.arange(len(encoded)) % 2
    affine = AffineTransform.fit(encoded, _AFFINE[how], columns.names, columns.condition)
    return affine if columns.plain else TableTransform(affine, columns)
