"""The source of grey patches of photographs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wopt import DataError, Dataset, Source
from wopt.component import fields
from wopt.data import (
    File,
    Key,
    Preprocess,
    Splits,
    assemble,
    column_names,
    coordinates,
    dequantised,
    read_table,
)
from wopt.seeds import generator
from wopt_measures.options import Size

_CELL = 2
"""Side, in patches, of the cells that are each given to one split."""


@fields
class PatchesSource(Source):
    """Small grey patches of photographs: noise U(0, 1), / 256, minus the mean, last pixel dropped.

    With size 8 a patch has 63 dimensions. Without ``path`` they are cut from scikit-learn's two
    bundled photographs (grey is the luminance 0.299 R + 0.587 G + 0.114 B, rounded), at distinct
    random positions. Patches overlap, so random positions alone would leak test pixels into
    training. Each photograph is therefore divided into cells of 2 x 2 patches; a tenth of the
    cells, chosen by the seed, is for validation, another for testing, and no patch crosses a cell's
    border. The patches of a cell are a group of dependent rows: standard errors count cells.

    With ``path`` the rows of a table of raw patches (integers 0 to 255, ``size**2`` columns) are
    shuffled and split instead; whether these overlap is not known.

    Source: the preprocessing of BSDS300 in Papamakarios, Pavlakou and Murray (2017).

    Raises:
        DataError: More patches are asked for than there are, or the file does not hold patches.

    Example:
        >>> data = PatchesSource(n_train=500, n_valid=100, n_test=100).load(seed=0)
        >>> tuple(data.train.shape), tuple(data.images(data.train).shape)
        ((500, 63), (500, 8, 8))
        >>> bool(data.images(data.train).sum((1, 2)).abs().max() < 1e-12)
        True
    """

    cites = ("papamakarios2017",)

    size: Annotated[int, Field(ge=2, le=16, description="side of a patch, in pixels")] = 8
    path: Annotated[
        File | None,
        Field(description="a table of raw patches to use instead of the bundled photographs"),
    ] = None
    key: Key = None
    n_train: Size = 50_000
    n_valid: Size = 5_000
    n_test: Size = 5_000
    preprocess: Preprocess = "whiten"

    def __post_init__(self) -> None:
        self.sizes = (self.n_train, self.n_valid, self.n_test)

    def check(self) -> None:
        """Raise if the file is missing or is not a table of patches of this size."""
        if self.path is not None:
            self._check_width(len(column_names(self.path, self.key)))

    def _check_width(self, columns: int) -> None:
        if columns != self.size**2:
            raise DataError(
                f"{self.path} has {columns} columns; patches of size {self.size} have "
                f"{self.size**2}: set `size`"
            )

    def load(self, seed: int) -> Dataset:
        """Return the patches, the same for the same seed."""
        groups = None
        if self.path is None:
            raw, groups = self._cut(seed)
        else:
            raw = self._deal(seed)
        train, valid, test = (
            _prepared(part, generator(seed, "source", "noise", k)) for k, part in enumerate(raw)
        )
        size = self.size
        dataset = assemble(
            (train, valid, test),
            self.preprocess,
            coordinates(size**2 - 1),
            images=functools.partial(_pictures, size=size),
        )
        return dataclasses.replace(dataset, groups=groups)

    def _deal(self, seed: int) -> Splits:
        table, _ = read_table(str(self.path), self.key)
        self._check_width(table.shape[1])
        if not np.isin(table, np.arange(256)).all():
            raise DataError(f"{self.path} holds other values than the grey levels 0, 1, ..., 255")
        if len(table) < sum(self.sizes):
            raise DataError(
                f"{self.path} has {len(table)} patches, fewer than the {sum(self.sizes)} asked "
                "for; lower n_train, n_valid or n_test"
            )
        order = torch.randperm(len(table), generator=generator(seed, "source", "order"))
        dealt = torch.from_numpy(table)[order[: sum(self.sizes)]]
        train, valid, test = torch.split(dealt, list(self.sizes))
        return train, valid, test

    def _cut(self, seed: int) -> tuple[Splits, Splits]:
        """Return the patches of each split, and each patch's cell number."""
        from sklearn.datasets import load_sample_images

        photos = [torch.tensor(image, dtype=torch.float64) for image in load_sample_images().images]
        luminance = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
        grey = torch.stack([(photo @ luminance).round() for photo in photos])
        positions = _positions(grey.shape, self.size, generator(seed, "source", "cells"))
        train, valid, test = (
            _chosen(part, n, generator(seed, "source", "places", k))
            for k, (part, n) in enumerate(zip(positions, self.sizes, strict=True))
        )

        def each(function: Callable[[Tensor], Tensor]) -> Splits:
            """Return the function of positions ``(n, 3)`` for every split."""
            return function(train), function(valid), function(test)

        cells = each(lambda part: _cell(part, self.size, grey.shape))
        return each(lambda part: _gather(grey, part, self.size)), cells


def _positions(shape: torch.Size, size: int, rng: torch.Generator) -> Splits:
    """Return each split's (photo, row, column) of every patch within its cells, ``(n, 3)``."""
    count, height, width = shape
    side = _CELL * size
    corners: list[list[Tensor]] = [[], [], []]
    for photo in range(count):
        cells = torch.cartesian_prod(
            torch.tensor([photo]),
            torch.arange(height // side) * side,
            torch.arange(width // side) * side,
        )
        cells = cells[torch.randperm(len(cells), generator=rng)]
        tenth = max(1, len(cells) // 10)
        for k, part in enumerate((cells[2 * tenth :], cells[:tenth], cells[tenth : 2 * tenth])):
            corners[k].append(part)
    inside = torch.cartesian_prod(
        torch.tensor([0]), torch.arange(side - size + 1), torch.arange(side - size + 1)
    )
    train, valid, test = ((torch.cat(part)[:, None] + inside).reshape(-1, 3) for part in corners)
    return train, valid, test


def _chosen(positions: Tensor, n: int, rng: torch.Generator) -> Tensor:
    if n > len(positions):
        raise DataError(
            f"{n} patches are asked for in one split, and the photographs have {len(positions)} "
            "places for it; ask for fewer"
        )
    return positions[torch.randperm(len(positions), generator=rng)[:n]]


def _cell(positions: Tensor, size: int, shape: torch.Size) -> Tensor:
    """Return the number of each patch's cell; patches of different cells do not overlap."""
    photo, row, column = positions.T
    side = _CELL * size
    return (photo * (shape[1] // side) + row // side) * (shape[2] // side) + column // side


def _gather(grey: Tensor, positions: Tensor, size: int) -> Tensor:
    photo, row, column = positions.T
    pixel = torch.arange(size)
    rows, columns = row[:, None, None] + pixel[:, None], column[:, None, None] + pixel
    return grey[photo[:, None, None], rows, columns].flatten(1)


def _prepared(raw: Tensor, rng: torch.Generator) -> Tensor:
    x = dequantised(raw, 1.0, rng) / 256
    return (x - x.mean(1, keepdim=True))[:, :-1]


def _pictures(x: Tensor, size: int) -> Tensor:
    """Return square pictures, with the last pixel restored as minus the sum of the others."""
    return torch.cat([x, -x.sum(1, keepdim=True)], dim=1).reshape(-1, size, size)
