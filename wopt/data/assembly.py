"""Assembly of a dataset: splits, dequantisation, context columns, preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.dataset import Dataset
from wopt.data.table_transform import fit_transform
from wopt.data.tables import coordinates
from wopt.data.transform import How
from wopt.errors import DataError
from wopt.registry import close_matches
from wopt.seeds import generator

Splits = tuple[Tensor, Tensor, Tensor]
Draw = Callable[[int, torch.Generator], Tensor]


def draw_splits(draw: Draw, sizes: tuple[int, int, int], seed: int) -> Splits:
    """Draw three splits, shapes ``(n, d)``, each with its own seed."""
    train, valid, test = (
        draw(n, generator(seed, "source", part))
        for n, part in zip(sizes, ("train", "valid", "test"), strict=True)
    )
    return train, valid, test


def dequantised(x: Tensor, width: float, rng: torch.Generator) -> Tensor:
    """Return rows, shape ``(n, d)``, plus U(0, width) noise, which gives gridded data a density."""
    if width == 0:
        return x
    return x + width * torch.rand(x.shape, generator=rng, dtype=x.dtype)


def assemble(
    splits: Sequence[Tensor],
    preprocess: How,
    names: tuple[str, ...] | None = None,
    log_density: Callable[[Tensor], Tensor] | None = None,
    entropy: float | None = None,
    sample: Draw | None = None,
    images: Callable[[Tensor], Tensor] | None = None,
    columns: Columns | None = None,
    types: Sequence[str] | None = None,
    condition: int = 0,
) -> Dataset:
    """Fit the preprocessing on the training split and make the dataset.

    Args:
        splits: Training, validation and test rows, shapes ``(n, d)``.
        log_density: Exact log-density, ``(n, d)`` to ``(n,)``, nats, if it is known.
        entropy: Exact entropy in nats, if it is known.
        sample: Draws fresh rows, shape ``(n, d)``, if possible.
        images: Turns rows into pictures, ``(n, d)`` to ``(n, height, width)``, for rows of pixels.
        columns: Kinds and supports of the columns, if they are not all numbers on the whole line.
        types: Arrow types of numbers on the whole line; double by default.
        condition: Number of these that are conditions, the last ones.

    Raises:
        DataError: Columns have no density, or there are too few rows to whiten.
    """
    train, valid, test = splits
    names = names or coordinates(train.shape[1])
    columns = columns or Columns.on_the_line(names, condition, types)
    transform = fit_transform(train, preprocess, columns)
    return Dataset(
        train, valid, test, transform, names, log_density, entropy, sample, images,
        columns.condition,
    )  # fmt: skip


def pick_columns(
    names: Sequence[str], columns: Sequence[str | int] | None, origin: str
) -> list[int]:
    """Return the indices of columns given by name or index; all of them for ``None``.

    Raises:
        DataError: A column does not exist or is given twice, or the list is empty.

    Example:
        >>> pick_columns(("a", "b", "c"), ["c", 0], "table")
        [2, 0]
    """
    if columns is None:
        return list(range(len(names)))
    indices = []
    for column in columns:
        if isinstance(column, int) and 0 <= column < len(names):
            indices.append(column)
        elif isinstance(column, str) and column in names:
            indices.append(list(names).index(column))
        elif isinstance(column, int):
            raise DataError(f"{origin} has no column {column}; its columns are 0..{len(names) - 1}")
        else:
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise DataError(
                f"{origin} has no column {column!r}; its columns: {known}"
                f"{close_matches(column, list(names))}"
            )
    if len(set(indices)) < len(indices) or not indices:
        raise DataError(
            f"{origin}: the columns {list(columns)} are "
            + ("not distinct; name each one once" if indices else "none; name at least one")
        )
    return indices


def check_context(names: tuple[str, ...], context: Sequence[str | int] | None) -> list[int]:
    """Return the indices of the context columns; none without a context."""
    if not context:
        return []
    given = pick_columns(names, list(context), "context")
    if len(given) == len(names):
        raise DataError(
            f"all columns ({', '.join(names)}) are context, so none is left to be modelled; name "
            "fewer in `context`"
        )
    return given
