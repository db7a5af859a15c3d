"""Sizes of columns: the range of float32, and columns far from unit scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wopt.errors import DataError
from wopt.statistics import some

if TYPE_CHECKING:
    from wopt.data.dataset import Dataset

__all__ = ["check_size", "far_from_unit"]

_PIECE = 2**16
"""Rows that are checked at a time."""

_SMALLEST = 1e-36
"""Smallest size of a column; the largest is its inverse."""

_FAR = 1e3
"""Offset, spread or inverse spread above which particles are far from unit scale."""


def check_size(x: Tensor, names: tuple[str, ...], where: str = "") -> None:
    """Raise if columns of rows ``(n, d)`` are too small or too large for squares in float32.

    Raises:
        DataError: A size is out of range; the message has the columns, the size and what to do.

    Example:
        >>> check_size(torch.tensor([[1.0], [1e150]], dtype=torch.float64), ("price",))
        Traceback (most recent call last):
        ...
        wopt.errors.DataError: column(s) price have values of size 1e+150, beyond what samples and \
figures, in float32, can hold (1e-36 to 1e+36): multiply or divide them by a constant, take their \
logarithm, or say by `support` where they can lie
    """
    if not len(x):
        return
    size = torch.stack([part.abs().amax(0) for part in x.split(_PIECE)]).amax(0)
    odd = ((size > 1 / _SMALLEST) | ((size > 0) & (size < _SMALLEST))).nonzero()[:, 0].tolist()
    if odd:
        columns = ", ".join(names[j] for j in odd[:5])
        raise DataError(
            f"{where}{': ' if where else ''}column(s) {columns} have values of size "
            f"{float(size[odd[0]]):.2g}, beyond what samples and figures, in float32, can hold "
            f"({_SMALLEST:g} to {1 / _SMALLEST:g}): multiply or divide them by a constant, take "
            "their logarithm, or say by `support` where they can lie"
        )


def far_from_unit(dataset: Dataset) -> str | None:
    """Return a warning of columns that are not preprocessed and lie far from the target's scale.

    Maps begin at the identity, and float32 resolves coordinates far from zero only coarsely.
    Return ``None`` if no column does.
    """
    if not dataset.transform.is_identity:
        return None
    x = some(dataset.train).double()
    mean, spread = x.mean(0).abs(), x.std(0) if len(x) > 1 else torch.ones(x.shape[1])
    spread = spread.to(mean)
    odd = (mean > _FAR * spread.clamp(min=1)) | (spread > _FAR) | (spread * _FAR < 1)
    columns = [dataset.names[j] for j in odd.nonzero()[:, 0].tolist()]
    if not columns:
        return None
    j = dataset.names.index(columns[0])
    return (
        f"column(s) {', '.join(columns[:5])} lie far from unit scale ({columns[0]}: mean "
        f"{float(x[:, j].mean()):.3g}, standard deviation {float(spread[j]):.3g}) and preprocess = "
        '"none" leaves them so: maps begin at the identity and must carry them all the way, in '
        'few digits. Use preprocess = "standardise" or "whiten" in [source]'
    )
