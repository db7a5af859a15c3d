"""What the sources share: seeded generators, dequantisation, and making the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from wopt import AffineTransform, DataError, Dataset
from wopt.data.dataset import split
from wopt.train.seeds import generator

__all__ = ["assemble", "coordinates", "dequantised", "draw_splits", "from_rows"]

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
) -> Dataset:
    """Fit the preprocessing on the training split and make the dataset.

    Raises:
        DataError: Columns have no density, or there are too few rows to whiten.
    """
    train, valid, test = splits
    names = names or coordinates(train.shape[1])
    transform = AffineTransform.fit(train, preprocess, names)
    return Dataset(train, valid, test, transform, names, log_density, entropy, sample, images)


def from_rows(
    x: Tensor,
    names: tuple[str, ...],
    fractions: tuple[float, float, float],
    preprocess: How,
    dequantise: float,
    seed: int,
) -> Dataset:
    """Dequantise, split and preprocess the rows of a table.

    Raises:
        DataError: Too few rows, or columns that have no density; the message says what to do.
    """
    noisy = dequantised(x, dequantise, generator(seed, "source", "noise"))
    splits = split(noisy, fractions, seed)
    if len(splits[0]) < 2:
        raise DataError(f"{len(x)} row(s) leave one for training; give more data")
    try:
        return assemble(splits, preprocess, names)
    except DataError as error:
        if dequantise == 0 and bool((x == x.round()).all()):
            raise DataError(
                f"{error}; these are integers, so noise of one unit gives them a density: "
                "`dequantise = 1`"
            ) from None
        raise
