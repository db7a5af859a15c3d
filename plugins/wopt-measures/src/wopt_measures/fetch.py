"""Data sets of others: where each comes from, and copies of its files with checksums."""

from __future__ import annotations

import functools
import logging
import os
import tomllib
from importlib import resources
from pathlib import Path

import pooch
from pydantic import BaseModel

from wopt import DataError


class DataFile(BaseModel):
    """A file of a data set.

    Attributes:
        path: Where it lies in the folder of data.
        url: Where it comes from, at a fixed version.
        checksum: Its checksum, such as ``"sha256:..."``.
    """

    path: str
    url: str
    checksum: str


class DataSet(BaseModel):
    """A data set that others published.

    Attributes:
        title: What it is.
        licence: The licence that its source states.
        source: The page of its authors.
        files: Its files, if they can be copied as they are.
        by_hand: Which file to make, and how, if they cannot.
    """

    title: str
    licence: str
    source: str
    files: tuple[DataFile, ...] = ()
    by_hand: str = ""


@functools.cache
def data_sets() -> dict[str, DataSet]:
    """Return the data sets that the examples and the evidence pages read, by name.

    Example:
        >>> data_sets()["emt"].licence
        'MIT'
    """
    text = resources.files(__package__).joinpath("data_sets.toml").read_text(encoding="utf-8")
    return {name: DataSet(**table) for name, table in tomllib.loads(text).items()}


def data_folder() -> Path:
    """Return the folder of data: ``$WOPT_DATA``, or ``../shared/data``, which the examples read."""
    return Path(os.environ.get("WOPT_DATA", "../shared/data"))


def fetch(name: str, folder: Path | None = None) -> list[Path]:
    """Copy the files of a data set from their original place, and check them.

    A file that is there with the right checksum is kept.

    Args:
        name: A name of :func:`data_sets`.
        folder: Where to write; the folder of data by default.

    Returns:
        Paths of the files.

    Raises:
        DataError: There is no such set, it has to be made by hand, its place cannot be reached, or
            the file there is another one.
    """
    known = data_sets()
    if name not in known:
        raise DataError(f"there is no data set {name!r}; there are {', '.join(known)}")
    folder = data_folder() if folder is None else folder
    chosen = known[name]
    if not chosen.files:
        raise DataError(
            f"{name} cannot be copied as it is; from {chosen.source} make, in {folder}, "
            f"{chosen.by_hand}"
        )
    return [_copy(file, folder, chosen) for file in chosen.files]


def _copy(file: DataFile, folder: Path, of: DataSet) -> Path:
    place = folder / file.path
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(file.url, file.checksum, fname=place.name, path=place.parent)
    except ValueError:  # what pooch raises for another checksum
        raise DataError(
            f"{file.url} is not the file that wopt knows ({file.checksum}); nothing was written. "
            f"See {of.source}"
        ) from None
    except OSError as error:  # of requests, and of the disk
        raise DataError(
            f"{file.url} could not be copied ({type(error).__name__}); get it by hand, from there "
            f"or from {of.source}, and put it at {place}"
        ) from None
    return place
