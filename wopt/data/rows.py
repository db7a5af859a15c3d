"""Rows as people have them in Python: tensors, arrays, frames with named columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wopt.data.tables import pick_columns
from wopt.errors import DataError

__all__ = ["as_rows", "names_of"]


def names_of(x: Any) -> tuple[str, ...] | None:
    """Return the column names of a table (pandas, polars), or ``None`` of what has none.

    Example:
        >>> names_of(torch.zeros(2, 2)) is None
        True
    """
    columns = getattr(x, "columns", None)
    return None if columns is None else tuple(str(name) for name in columns)


def as_rows(
    x: Any, names: Sequence[str] = (), conditions: Any = None, condition: int = 0
) -> Tensor:
    """Return rows as a tensor; a table's columns are found by name.

    Args:
        x: A tensor, what numpy can make an array of, or a table. A tensor keeps its dtype, device
            and gradient; all else becomes float64.
        names: The columns wanted, in their order; of tables only.
        conditions: The last columns, if they are given apart; broadcast against the others.
        condition: How many these are.

    Raises:
        DataError: A column is missing, the widths disagree, or these are no numbers.

    Example:
        >>> as_rows([[1.0], [2.0]], conditions=[3.0], condition=1).tolist()
        [[1.0, 3.0], [2.0, 3.0]]
    """
    if conditions is None:
        return _numbers(x, names)
    if not condition:
        raise DataError("this model has no conditions; leave them out")
    moved = _numbers(x, names[: len(names) - condition])
    given = _numbers(conditions, names[len(names) - condition :]).to(moved)
    if given.ndim == 0 or moved.ndim == 0 or given.shape[-1] != condition:
        raise DataError(
            f"conditions have shape (..., c) with c = {condition}, got {tuple(given.shape)}"
        )
    try:
        batch = torch.broadcast_shapes(moved.shape[:-1], given.shape[:-1])
    except RuntimeError:
        raise DataError(
            f"rows of shape {tuple(moved.shape)} and conditions of shape {tuple(given.shape)} "
            "cannot be broadcast: all axes but the last must agree or be one"
        ) from None
    return torch.cat([moved.expand(*batch, -1), given.expand(*batch, -1)], dim=-1)


def _numbers(x: Any, names: Sequence[str]) -> Tensor:
    if isinstance(x, Tensor):
        return x
    known = names_of(x)
    if known is not None and names:
        chosen = pick_columns(known, list(names), "the table")
        x = np.asarray(x)[:, chosen]
    try:
        return torch.as_tensor(np.asarray(x, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"rows are numbers of one shape, and these are not: {error}") from None
