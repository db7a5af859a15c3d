"""Making a dataset: drawn splits, dequantisation, context columns, the preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from wopt.data.dataset import Dataset, split
from wopt.data.tables import pick_columns
from wopt.data.transform import AffineTransform
from wopt.errors import DataError
from wopt.seeds import generator

__all__ = ["assemble", "check_context", "coordinates", "dequantised", "draw_splits", "from_rows"]

How = Literal["none", "standardise", "whiten"]
Splits = tuple[Tensor, Tensor, Tensor]
Draw = Callable[[int, torch.Generator], Tensor]


def draw_splits(draw: Draw, sizes: tuple[int, int, int], seed: int) -> Splits:
    """Draw three splits, each with a seed of its own, so that one's size changes no other."""
    train, valid, test = (
        draw(n, generator(seed, "source", part))
        for n, part in zip(sizes, ("train", "valid", "test"), strict=True)
    )
    return train, valid, test


def dequantised(x: Tensor, width: float, noise: torch.Generator) -> Tensor:
    """Add U(0, width) noise, which gives data on a grid of that spacing a density."""
    if width == 0:
        return x
    return x + width * torch.rand(x.shape, generator=noise, dtype=x.dtype)


def coordinates(dim: int) -> tuple[str, ...]:
    """Return the names x0, x1, ... of unnamed columns."""
    return tuple(f"x{j}" for j in range(dim))


def assemble(
    splits: Sequence[Tensor],
    preprocess: How,
    names: tuple[str, ...] | None = None,
    log_density: Callable[[Tensor], Tensor] | None = None,
    entropy: float | None = None,
    sample: Draw | None = None,
    images: Callable[[Tensor], Tensor] | None = None,
    condition: int = 0,
) -> Dataset:
    """Fit the preprocessing on the training split and make the dataset.

    Raises:
        DataError: Columns have no density, or there are too few rows to whiten.
    """
    train, valid, test = splits
    names = names or coordinates(train.shape[1])
    transform = AffineTransform.fit(train, preprocess, names, condition)
    return Dataset(
        train, valid, test, transform, names, log_density, entropy, sample, images, condition
    )


def from_rows(
    x: Tensor,
    names: tuple[str, ...],
    fractions: tuple[float, float, float],
    preprocess: How,
    dequantise: float,
    seed: int,
    context: Sequence[str | int] | None = None,
) -> Dataset:
    """Dequantise, split and preprocess the rows of a table; its context columns go last.

    Raises:
        DataError: Too few rows, or columns that have no density; the message says what to do.
    """
    x, names, condition = _context_last(x, names, context)
    moved = x.shape[1] - condition
    noisy = dequantised(x[:, :moved], dequantise, generator(seed, "source", "noise"))
    splits = split(torch.cat([noisy, x[:, moved:]], dim=1), fractions, seed)
    if len(splits[0]) < 2:
        raise DataError(f"{len(x)} row(s) leave one for training; give more data")
    try:
        return assemble(splits, preprocess, names, condition=condition)
    except DataError as error:
        if dequantise == 0 and bool((x == x.round()).all()):
            raise DataError(
                f"{error}; these are integers, so noise of one unit gives them a density: "
                "`dequantise = 1`"
            ) from None
        raise


def check_context(names: tuple[str, ...], context: Sequence[str | int] | None) -> list[int]:
    """Return the indices of the context columns; none without a context.

    Raises:
        DataError: A context column is unknown, or no other column is left to be modelled.
    """
    if not context:
        return []
    given = pick_columns(names, list(context), "context")
    if len(given) == len(names):
        raise DataError(
            f"all columns ({', '.join(names)}) are context, so none is left to be modelled; name "
            "fewer in `context`"
        )
    return given


def _context_last(
    x: Tensor, names: tuple[str, ...], context: Sequence[str | int] | None
) -> tuple[Tensor, tuple[str, ...], int]:
    """Return the columns with those of the context last, and how many these are."""
    given = check_context(names, context)
    order = [*(j for j in range(len(names)) if j not in given), *given]
    return x[:, order], tuple(names[j] for j in order), len(given)
