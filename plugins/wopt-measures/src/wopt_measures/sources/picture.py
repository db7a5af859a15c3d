"""The source ``picture``: the pixel density of a drawing."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wopt import DataError, Dataset, Source
from wopt.data import File, Preprocess, assemble, draw_splits, existing_file
from wopt_measures.laws.pixels import PixelLaw
from wopt_measures.options import Size


class PictureSource(Source):
    """Points in the plane whose density is a drawing: dark pixels are likely.

    The picture is made grey (transparent is white) and rotated by 180 degrees; pixel k has weight
    (max - value_k)/sum. Its centre lies on the grid linspace(-4, 4, width) along the first
    coordinate and linspace(-4, 4, height) along the second; a sample is a centre plus normal
    noise of standard deviation (4/width, 4/height). The density is this mixture
    (:class:`wopt_measures.laws.pixels.PixelLaw`), so log-density and entropy are exact.

    Source: the pixel densities of the JKO-iFlow paper (Xu, Cheng and Xie, 2023).

    Raises:
        DataError: The file is missing or is not a picture, or the picture is blank.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "dot.png"
        ...     grey = np.full((8, 8), 255, np.uint8)
        ...     grey[1, 2] = 0
        ...     Image.fromarray(grey).save(path)
        ...     data = PictureSource(path, n_train=1000).load(seed=0)
        >>> [round(v, 1) for v in data.train.mean(0).tolist()]  # the dot, rotated
        [1.7, 2.8]
    """

    cites = ("xu2023",)

    def __init__(
        self,
        path: File,
        n_train: Size = 50_000,
        n_valid: Size = 5_000,
        n_test: Size = 10_000,
        preprocess: Preprocess = "standardise",
    ) -> None:
        self.path = path
        self.sizes = (n_train, n_valid, n_test)
        self.preprocess = preprocess

    def check(self) -> None:
        """Raise if the file is missing, or its header is not a picture's."""
        with self._open():
            pass

    def load(self, seed: int) -> Dataset:
        """Return the samples, the same for the same seed."""
        law = PixelLaw(self._weights())
        draw = functools.partial(_drawn, law)  # which pickles with the data
        splits = draw_splits(draw, self.sizes, seed)
        return assemble(splits, self.preprocess, None, law.log_prob, law.entropy(), draw)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Image.Image]:
        path = existing_file(self.path)
        try:
            with Image.open(path) as picture:
                yield picture
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} cannot be read as a picture ({error})") from error

    def _weights(self) -> Tensor:
        with self._open() as picture:
            paper = Image.new("RGBA", picture.size, "white")
            grey = Image.alpha_composite(paper, picture.convert("RGBA")).convert("L")
        values = torch.from_numpy(np.rot90(np.asarray(grey), 2).astype(np.float64))
        ink = values.max() - values
        if min(ink.shape) < 2 or float(ink.sum()) == 0:
            raise DataError(
                f"{self.path} has {ink.shape[1]} x {ink.shape[0]} pixels of one grey; a density "
                "needs a picture at least 2 x 2 with darker and lighter pixels"
            )
        return ink / ink.sum()


def _drawn(law: PixelLaw, n: int, rng: torch.Generator) -> Tensor:
    return law.sample(n, law.dim, rng)
