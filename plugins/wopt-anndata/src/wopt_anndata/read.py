"""Reading parts of an h5ad file: an embedding and the columns of ``obs``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wopt import DataError
from wopt.data import existing_file
from wopt.registry import close_matches


def embedding_names(path: Path, obsm: str, dims: int | None) -> tuple[list[str], list[str]]:
    """Return the names of the columns of the embedding and of ``obs``."""
    from anndata.io import read_elem

    with _opened(path) as file:
        matrix = _embedding(file, obsm, path)
        obs_names = [str(name) for name in file["obs"].attrs["column-order"]]
        if obsm != "X":
            return _numbered(obsm, _kept(matrix.shape[1], dims, path)), obs_names
        variables = [str(name) for name in read_elem(file["var"]).index]
        return variables[: _kept(len(variables), dims, path)], obs_names


def read_cells(path: Path, obsm: str, dims: int | None) -> tuple[Any, list[str]]:
    """Return an Arrow table of the embedding beside ``obs``, and the embedding's column names."""
    import pyarrow
    from anndata.io import read_elem

    names, obs_names = embedding_names(path, obsm, dims)
    with _opened(path) as file:
        rows = read_elem(_embedding(file, obsm, path))
        obs = read_elem(file["obs"])
    rows = rows[:, : len(names)]
    rows = np.asarray(rows.todense() if hasattr(rows, "todense") else rows)
    twice = sorted(set(names) & set(obs_names))
    if twice:
        raise DataError(f"{path}: obs and {obsm} both have the columns {', '.join(twice)}; rename")
    beside_rows = pyarrow.Table.from_pandas(obs, preserve_index=False)
    columns = dict(zip(beside_rows.column_names, beside_rows.columns, strict=True))
    for j, name in enumerate(names):
        columns[name] = pyarrow.chunked_array([np.ascontiguousarray(rows[:, j])])
    return pyarrow.table(columns), names


def _kept(width: int, dims: int | None, path: Path) -> int:
    if dims is not None and dims > width:
        raise DataError(f"{path}: the embedding has {width} columns, fewer than dims = {dims}")
    return dims or width


def _numbered(obsm: str, width: int) -> list[str]:
    return [f"{obsm.removeprefix('X_')}{j + 1}" for j in range(width)]


def _embedding(file: Any, obsm: str, path: Path) -> Any:
    if obsm == "X":
        if "X" not in file:
            raise DataError(f"{path}: has no matrix X; name an embedding by `obsm`")
        return file["X"]
    known = list(file["obsm"]) if "obsm" in file else []
    if obsm not in known:
        raise DataError(
            f"{path}: has no embedding {obsm!r} in obsm; its own: {', '.join(known) or 'none'}"
            f'{close_matches(obsm, known)}; or obsm = "X" for the matrix itself'
        )
    embedding = file["obsm"][obsm]
    if len(getattr(embedding, "shape", ())) != 2:
        raise DataError(f"{path}: the embedding {obsm!r} is not a matrix of numbers")
    return embedding


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(existing_file(path), "r") as file:
            yield file
    except DataError:
        raise
    except (OSError, KeyError, ValueError, TypeError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read as an AnnData file (h5ad): {text}") from None
