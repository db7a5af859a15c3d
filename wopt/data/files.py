"""Reading files of rows: .npy, .npz, .csv and .parquet as Arrow tables."""

from __future__ import annotations

import contextlib
import csv
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wopt.errors import DataError, UserError
from wopt.memory import check_room
from wopt.registry import close_matches

__all__ = ["READABLE", "column_names", "existing_file", "has_names", "is_number", "load_columns"]

READABLE = (".npy", ".npz", ".csv", ".parquet")


def load_columns(path: str | Path, key: str | None = None) -> Any:
    """Read a file as an Arrow table, whose columns may be of any type and have no rows.

    The columns of an array are named ``x0``, ``x1``, ...

    Raises:
        DataError: The file is missing, damaged, of an unknown kind, or an array is not a table.
    """
    path = _readable(path, key)
    if path.suffix.lower() in (".npy", ".npz"):
        import pyarrow

        from wopt.data.frames import columns_of

        with _reading(path):
            array = _load_array(path, key)
        _check_array(path, array.shape, array.dtype)
        array = array[:, None] if array.ndim == 1 else array
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        names = _numbered(array.shape[1])
        return pyarrow.table(dict(zip(names, columns_of(array), strict=True)))
    with _reading(path):
        return _load_named(path)


def has_names(path: str | Path) -> bool:
    """Return whether a file names its columns itself."""
    path = Path(path)
    if path.suffix.lower() == ".csv":
        with _reading(path):
            return _csv_header(path)[1]
    return path.suffix.lower() not in (".npy", ".npz")


def column_names(path: str | Path, key: str | None = None) -> tuple[str, ...]:
    """Read the names of all columns from the file's header only.

    Raises:
        DataError: The file is missing, of an unknown kind, or its header cannot be read.
    """
    path = _readable(path, key)
    with _reading(path):
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            return tuple(pyarrow.parquet.read_schema(path).names)
        if path.suffix.lower() == ".csv":
            return _csv_header(path)[0]
        shape, dtype = _array_header(path, key)
    _check_array(path, shape, dtype)
    return _numbered(shape[1] if len(shape) == 2 else 1)


def existing_file(path: str | Path) -> Path:
    """Return the path of a file that exists.

    Raises:
        DataError: The file does not exist; the message names similar ones in the same folder.
    """
    path = Path(path)
    if path.is_file():
        return path
    where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it{where}")
    if path.exists():
        raise DataError(f"{path} is a pipe, a socket or a device; write it to a file first{where}")
    if not path.parent.is_dir():
        raise DataError(f"{path} does not exist, nor does the folder {path.parent}{where}")
    siblings = sorted(other.name for other in path.parent.iterdir())
    raise DataError(f"{path} does not exist{where}{close_matches(path.name, siblings)}")


def _readable(path: str | Path, key: str | None) -> Path:
    path = existing_file(path)
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise DataError(
            f"{path}: tables are not read from files with suffix {suffix!r}; known: "
            f"{', '.join(READABLE)}"
        )
    if key is not None and suffix != ".npz":
        raise DataError(f"{path}: `key` picks an array of an .npz file, and this is {suffix}")
    return path


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn any error of a parser into one message that names the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # numpy, zipfile, zlib, pandas and pyarrow each have their own
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} cannot be read as {path.suffix.lower()}; it is damaged, truncated or of "
            f"another kind ({text})"
        ) from error


def _numbered(d: int) -> tuple[str, ...]:
    return tuple(f"x{j}" for j in range(d))


def _load_array(path: Path, key: str | None) -> NDArray[Any]:
    _array_header(path, key)  # checked before memory is allocated
    # Pickled objects could run code when loaded, so they are never accepted.
    with path.open("rb") as stream:
        if path.suffix.lower() == ".npy":
            return np.lib.format.read_array(stream, allow_pickle=False)
        with zipfile.ZipFile(stream) as archive, archive.open(_member(path, archive, key)) as part:
            return np.lib.format.read_array(part, allow_pickle=False)


def _array_header(path: Path, key: str | None) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with path.open("rb") as stream:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(stream) as archive:
                name = _member(path, archive, key)
                with archive.open(name) as part:
                    return _announced(part, archive.getinfo(name).file_size)
        return _announced(stream, path.stat().st_size)


def _announced(stream: Any, size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array after checking that a stream of ``size`` bytes holds it."""
    shape, dtype = _shape_and_type(stream)
    needed = dtype.itemsize * math.prod(shape)
    if min(shape, default=0) < 0:
        raise ValueError(f"its header tells of a negative size, {shape}")
    missing = stream.tell() + needed - size
    if missing > 0:
        raise ValueError(f"{missing} bytes are missing at the end")
    check_room(needed, "an array; give fewer rows")
    return shape, dtype


def _shape_and_type(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    first = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _member(path: Path, archive: zipfile.ZipFile, key: str | None) -> str:
    keys = [name.removesuffix(".npy") for name in archive.namelist()]
    if key is None and len(keys) == 1:
        return archive.namelist()[0]
    if key not in keys:
        known = ", ".join(keys) or "none"
        wrong = f"has no array {key!r}" if key is not None else "holds several arrays"
        close = close_matches(key or "", keys)
        raise DataError(
            f"{path} {wrong}; pick one with `key` (of a source: --set source.key=NAME); its "
            f"arrays: {known}{close}"
        )
    return archive.namelist()[keys.index(key)]


def _check_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of type {dtype}, not numbers")
    if len(shape) not in (1, 2) or 0 in shape[1:]:
        raise DataError(
            f"{path} holds an array of shape {shape}; a table has shape (rows, columns): reshape "
            "it, for pictures to (n, height * width)"
        )


def _csv_header(path: Path) -> tuple[tuple[str, ...], bool]:
    """Return the columns' names and whether the file holds them."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        cells = next(csv.reader(stream), [])
    if not cells:
        raise ValueError("it is empty")
    sign = next((sign for sign in (";", "\t") if len(cells) == 1 and sign in cells[0]), None)
    if sign is not None:
        raise DataError(
            f"{path}: columns are separated by commas, and its first line has {sign!r} in their "
            "place; write it with commas (in pandas: read_csv(sep=...), then to_csv)"
        )
    # 0, 1, 2, ... are names that pandas gives; other numbers are the first row.
    counted = len(cells) > 1 and cells == [str(j) for j in range(len(cells))]
    named = counted or not all(is_number(cell) for cell in cells)
    return (tuple(cell.strip() for cell in cells) if named else _numbered(len(cells))), named


def _load_named(path: Path) -> Any:
    """Return the file's columns as a pyarrow table."""
    import pyarrow.csv
    import pyarrow.parquet

    if path.suffix.lower() == ".parquet":
        about = pyarrow.parquet.read_metadata(path)
        check_room(8 * about.num_rows * about.num_columns, f"the rows of {path}; give fewer")
        return pyarrow.parquet.read_table(path)
    names, named = _csv_header(path)
    options = pyarrow.csv.ReadOptions(
        column_names=list(names),
        skip_rows=1 if named else 0,
        # A column's type is inferred from the first block, so that must be the whole file.
        block_size=min(path.stat().st_size + 1, 2**31 - 1),
    )
    missing = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    return pyarrow.csv.read_csv(path, read_options=options, convert_options=missing)


def is_number(text: str) -> bool:
    """Whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
