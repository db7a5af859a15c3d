"""The source of pictures in an idx file, the format of MNIST."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import math
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from wopt import DataError, Dataset, Source
from wopt.component import fields
from wopt.data import File, Fractions, Preprocess, assemble, dequantised, split
from wopt.seeds import generator

_BYTES = 8
"""Code of the type unsigned bytes in the magic number."""


@fields
class IdxSource(Source):
    """Grey pictures of an idx file, such as MNIST's, compressed by gzip or not.

    Every pixel is a column: its grey level, 0 to 255, plus noise U(0, 1), which gives whole numbers
    a density. The mean log-density of a level's cell is a lower bound of its log-probability
    (Theis, van den Oord, Bethge, 2016), so that ``bits_per_dim`` of ``result.json``,

        NLL / (d log 2),    d pixels,

    is an upper bound of the bits that a code of the model takes per pixel, and comparable with
    published ones.

    Args:
        pool: Side of the squares of pixels that are averaged first, rounded down to whole levels;
            bits per dimension are then those of the smaller pictures.
        published: Bits per dimension of others, by name, which the report shows beside the run's;
            for MNIST ``{"MAF" = 1.89, "Glow" = 1.05, "FFJORD" = 0.99}``, all of 50,000 pictures or
            more (Grathwohl et al., 2019, table 2).

    Raises:
        DataError: The file is missing or damaged, or does not hold pictures of bytes.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "two-by-three.idx"
        ...     head = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (20, 2, 3))
        ...     _ = path.write_bytes(head + bytes(range(120)))
        ...     data = IdxSource(path).load(seed=0)
        >>> data.dim, tuple(data.images(data.test).shape)
        (6, (2, 2, 3))
    """

    cites = ("lecun1998", "theis2016")

    path: File
    pool: Annotated[
        int, Field(ge=1, description="side of squares of pixels that become one, by their mean")
    ] = 1
    split: Fractions = (0.8, 0.1, 0.1)
    preprocess: Preprocess = "standardise"
    published: Annotated[
        dict[str, float] | None,
        Field(description="bits per dimension of others, by name, shown beside the run's"),
    ] = None

    def check(self) -> None:
        """Raise if the file is missing."""
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file")

    def load(self, seed: int) -> Dataset:
        """Return the pictures, the same for the same seed."""
        self.check()
        levels = _pooled(read_idx(self.path), self.pool)
        count, height, width = levels.shape
        if count < 10:
            raise DataError(f"{self.path}: {count} picture(s) are too few to train and test on")
        rows = torch.from_numpy(levels.reshape(count, -1)).double()
        noisy = dequantised(rows, 1.0, generator(seed, "source", "noise"))
        names = tuple(f"r{i}c{j}" for i in range(height) for j in range(width))
        shown = functools.partial(_pictures, height=height, width=width)
        dataset = assemble(split(noisy, self.split, seed), self.preprocess, names, images=shown)
        return dataclasses.replace(dataset, cell=1.0, published=self.published)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the pictures of an idx file, shape ``(n, height, width)``."""
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(raw) < 16 or raw[:2] != b"\0\0" or raw[2] != _BYTES or raw[3] != 3:
        raise DataError(
            f"{path}: is not an idx file of pictures: these begin with the bytes 0, 0, 8, 3 "
            "(unsigned bytes in three dimensions); labels and numbers of other types are not read"
        )
    shape = tuple(int.from_bytes(raw[k : k + 4], "big") for k in (4, 8, 12))
    if len(raw) - 16 != math.prod(shape) or not math.prod(shape):
        raise DataError(
            f"{path}: says {' x '.join(map(str, shape))} bytes and holds {len(raw) - 16}; it is "
            "damaged or truncated, download it again"
        )
    return np.frombuffer(raw, np.uint8, offset=16).reshape(shape).copy()


def _pooled(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the means of squares, in whole levels; incomplete squares are cut off."""
    if side == 1:
        return pictures
    count, height, width = (n // s for n, s in zip(pictures.shape, (1, side, side), strict=True))
    if not height or not width:
        raise DataError(f"pool = {side} is more than the pictures' {pictures.shape[1:]} pixels")
    cut = pictures[:, : height * side, : width * side].astype(np.int64)
    means = cut.reshape(count, height, side, width, side).sum((2, 4)) // side**2
    return means.astype(np.uint8)


def _pictures(x: Tensor, height: int, width: int) -> Tensor:
    return x.reshape(-1, height, width)
