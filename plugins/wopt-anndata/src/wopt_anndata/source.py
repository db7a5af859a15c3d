"""The source ``anndata``: cells of an AnnData file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from wopt import Dataset, Source
from wopt.data import (
    At,
    Choices,
    Context,
    File,
    Fractions,
    Missing,
    Preprocess,
    Support,
    Time,
    Weights,
    Where,
    from_table,
)
from wopt_anndata.read import embedding_names, read_cells


class AnnDataSource(Source):
    """Cells of an AnnData file in one of its embeddings, with columns of ``obs`` beside it.

    The columns of the embedding ``X_pca`` are named ``pca1``, ``pca2``, ...; those of the matrix
    ``X`` have the names of its variables. Nothing else of the file is read.

    Raises:
        DataError: The file is missing or damaged, or lacks the embedding or a column.

    Example:
        >>> import anndata, numpy, pathlib, tempfile
        >>> rows = numpy.random.default_rng(0).normal(size=(100, 5))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "cells.h5ad"
        ...     anndata.AnnData(obsm={"X_pca": rows}, shape=(100, 0)).write_h5ad(path)
        ...     data = AnnDataSource(path, dims=2).load(seed=0)
        >>> data.names, len(data.train)
        (('pca1', 'pca2'), 80)
    """

    cites = ()
    suffixes = (".h5ad",)

    def __init__(
        self,
        path: File,
        obsm: Annotated[
            str, Field(description="the embedding, a key of `obsm`; or X for the matrix itself")
        ] = "X_pca",
        dims: Annotated[
            int | None,
            Field(ge=1, description="number of its first columns to use; by default all"),
        ] = None,
        time: Time = None,
        at: At = None,
        context: Context = None,
        where: Where = None,
        weights: Weights = None,
        nan: Missing = "refuse",
        support: Support = None,
        split: Fractions = (0.8, 0.1, 0.1),
        preprocess: Preprocess = "whiten",
    ) -> None:
        self.path = path
        self.obsm = obsm
        self.dims = dims
        self.split = split
        self.preprocess = preprocess
        self.choices = Choices(
            None, nan, context, 0.0, None, support, weights, where, time, at
        )  # fmt: skip

    def check(self) -> None:
        """Raise if the file, the embedding or a column is missing."""
        embedding, obs_names = embedding_names(self.path, self.obsm, self.dims)
        self._chosen(embedding).check([*embedding, *obs_names], str(self.path))

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed."""
        table, embedding = read_cells(self.path, self.obsm, self.dims)
        return from_table(
            table, self._chosen(embedding), self.split, self.preprocess, seed, str(self.path)
        )

    def table(self, path: Path) -> Any:
        """Return the cells of another file in the same embedding, with ``obs``."""
        return read_cells(path, self.obsm, self.dims)[0]

    def _chosen(self, embedding: list[str]) -> Choices:
        import dataclasses

        return dataclasses.replace(self.choices, columns=embedding)
