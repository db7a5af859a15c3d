"""The source that is rows in memory: what ``wopt.fit`` is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wopt.data.assemble import How, from_rows
from wopt.data.dataset import Dataset, check_finite
from wopt.data.rows import as_rows, names_of
from wopt.errors import DataError
from wopt.interfaces.source import Source

__all__ = ["Rows"]


class Rows(Source):
    """Rows in memory, split and preprocessed as those of a file are (source ``array``).

    Args:
        x: Data, shape ``(n, d)``: a tensor, an array, or a table with column names.
        conditions: What the model is conditioned on, shape ``(n, c)``.
        preprocess: ``none``, ``standardise`` or ``whiten``.
        split: Shares of the rows for training, validation and test.
        dequantise: Width of the uniform noise added to data on a grid.

    Example:
        >>> data = Rows(torch.randn(100, 3)).load(seed=0)
        >>> len(data.train), data.names
        (80, ('x0', 'x1', 'x2'))
    """

    def __init__(
        self,
        x: Any,
        conditions: Any = None,
        preprocess: How = "whiten",
        split: tuple[float, float, float] = (0.8, 0.1, 0.1),
        dequantise: float = 0.0,
    ) -> None:
        self.x = x
        self.conditions = conditions
        self.preprocess = preprocess
        self.split = split
        self.dequantise = dequantise

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed."""
        rows, names = _table(self.x, "x")
        context: list[str | int] | None = None
        if self.conditions is not None:
            given, of_given = _table(self.conditions, "c")
            if len(given) != len(rows):
                raise DataError(
                    f"conditions are rows beside x, shape ({len(rows)}, c); got "
                    f"{tuple(given.shape)}"
                )
            context = list(range(len(names), len(names) + len(of_given)))
            rows, names = torch.cat([rows, given], dim=1), names + of_given
        check_finite(rows, names, "x")
        return from_rows(rows, names, self.split, self.preprocess, self.dequantise, seed, context)


def _table(x: Any, letter: str) -> tuple[Tensor, tuple[str, ...]]:
    """Return rows, float64 on the CPU, and the names of their columns."""
    rows = as_rows(x).detach().to("cpu", torch.float64)
    if rows.ndim != 2 or not rows.shape[1]:
        what = "x" if letter == "x" else "conditions"
        raise DataError(f"{what} has rows, shape (n, d); got shape {tuple(rows.shape)}")
    return rows, names_of(x) or tuple(f"{letter}{j}" for j in range(rows.shape[1]))
