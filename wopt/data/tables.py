"""Tables: rows read from and written to .npy, .npz, .csv and .parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wopt.data.texts import is_lost, is_number
from wopt.errors import DataError, UserError
from wopt.files import check_takes_files, replacing
from wopt.memory import check_room
from wopt.registry import close_matches

ARRAYS = (".npy", ".npz")
READABLE = (*ARRAYS, ".csv", ".parquet")
WRITABLE = (".npy", ".csv", ".parquet")


def read_frame(path: str | Path, key: str | None = None) -> Any:
    """Read a file as an Arrow table, with columns of every type.

    The columns of an array are named ``x0``, ``x1``, ...

    Args:
        path: A ``.npy``, ``.npz``, ``.csv`` (commas, with or without a line of names) or
            ``.parquet`` file; relative to the current directory.
        key: Name of the array in an ``.npz`` file; not needed if it holds one.

    Raises:
        DataError: The file is missing, damaged, of an unknown kind, has no rows, or two columns
            of one name.
    """
    path = _readable(path, key)
    with _reading(path):
        table = of_array(_array(path, key)) if _is_array(path) else _of_columns(path)
    names = table.column_names
    if table.num_rows == 0:
        raise DataError(f"{path} has no rows")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise DataError(f"{path}: several columns are named {', '.join(twice)}; rename them")
    return table


def each_column(path: str | Path, key: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a file, as :func:`read_frame` reads them, one by one."""
    if not _is_array(Path(path)):
        table = read_frame(path, key)
        yield from zip(table.column_names, table.columns, strict=True)
        return
    with _reading(path := _readable(path, key)):
        array = _array(path, key)
    if not len(array):
        raise DataError(f"{path} has no rows")
    for j, name in enumerate(coordinates(array.shape[1])):
        yield name, of_array(array[:, j : j + 1]).column(0)


def read_table(
    path: str | Path, key: str | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    r"""Read all columns of numbers; NaN and infinities are kept.

    Arguments are those of :func:`read_frame`.

    Returns:
        The rows, shape ``(n, d)``, and the columns' names; a 1-D array is one column.

    Raises:
        DataError: As for :func:`read_frame`, or the file does not hold numbers.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "cells.csv"
        ...     _ = file.write_text("stage,a,b\nearly,1,2\nlate,3,4\n")
        ...     read_table(file)
        (array([[1., 2.],
               [3., 4.]]), ('a', 'b'))
    """
    table = read_frame(path, key)
    # An array is numbers, also one of booleans.
    chosen = range(table.num_columns) if _is_array(Path(path)) else _numeric_columns(path, table)
    names = tuple(table.column_names[j] for j in chosen)
    return np.stack([floats(table.column(j)) for j in chosen], axis=1), names


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
        return coordinates(_array(path, key).shape[1])


def has_names(path: str | Path) -> bool:
    """Return whether a file names its columns itself."""
    path = Path(path)
    if path.suffix.lower() == ".csv":
        with _reading(path):
            return _csv_header(path)[1]
    return not _is_array(path)


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


def write_table(path: str | Path, array: NDArray[Any], names: Sequence[str]) -> None:
    """Write rows of numbers atomically, in the format that the suffix names.

    Numbers come back from :func:`read_table` to the last bit. An ``.npy`` file holds no names.

    Args:
        path: Path that ends in ``.npy``, ``.csv`` or ``.parquet``; an existing file is replaced.
        array: Rows, shape ``(n, d)``.

    Raises:
        DataError: Unknown suffix, a missing folder, or a wrong number of names.
        RunError: The disk is full or the place cannot be written.
    """
    check_writable(path)
    array = np.asarray(array)
    if array.ndim != 2 or array.shape[1] != len(set(names)) or len(names) != len(set(names)):
        raise DataError(
            f"{path}: an array of shape {tuple(array.shape)} needs as many distinct column names "
            f"as it has columns, got {', '.join(names)}"
        )
    if Path(path).suffix.lower() == ".npy":
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        _put(path, content)
        return
    import pyarrow

    write_frame(path, pyarrow.table({name: array[:, j] for j, name in enumerate(names)}))


def write_frame(path: str | Path, table: Any) -> None:
    """Write an Arrow table atomically to a ``.csv`` or ``.parquet`` file."""
    check_writable(path)
    content = io.BytesIO()
    if Path(path).suffix.lower() == ".parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, content)
    else:
        # Python floats, whose text is the shortest that reads back the same.
        cells: Iterable[Any] = zip(*(column.to_pylist() for column in table.columns), strict=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([table.column_names, *cells])
        content.write(text.getvalue().encode())
    _put(path, content)


def check_writable(path: str | Path) -> None:
    """Raise unless :func:`write_table` supports the suffix and the folder is writable."""
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise DataError(
            f"{path}: tables are not written to files with suffix {path.suffix.lower()!r}; known: "
            f"{', '.join(WRITABLE)}"
        )
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: the folder {path.parent} does not exist")
    check_takes_files(path)


def is_numeric(kind: Any) -> bool:
    """Whether an Arrow type is numeric."""
    import pyarrow.types

    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def floats(column: Any) -> NDArray[np.float64]:
    """Return a column of numbers or truth values as float64, NaN where a value is missing."""
    import pyarrow
    import pyarrow.types

    if pyarrow.types.is_boolean(column.type):  # which Arrow casts to whole numbers alone
        column = column.cast(pyarrow.int8())
    try:
        column = column.cast(pyarrow.float64())
    except pyarrow.ArrowInvalid as error:
        raise DataError(
            f"a column has integers beyond 2^53, which float64 does not tell from their neighbours "
            f"({error}); if it is an identifier leave it out (`columns`), else divide it"
        ) from None
    array = column.combine_chunks()  # whose `to_numpy` would import pandas
    known = np.frombuffer(array.is_valid().cast(pyarrow.uint8()).buffers()[1], np.bool_)
    values = np.frombuffer(array.buffers()[1], np.float64)[array.offset :][: len(array)]
    return np.where(known[: len(array)], values, np.nan)


def coordinates(dim: int) -> tuple[str, ...]:
    """Return the names x0, x1, ... of unnamed columns."""
    return tuple(f"x{j}" for j in range(dim))


def of_array(array: NDArray[Any]) -> Any:
    """Return an array ``(n, d)`` as an Arrow table with the columns x0, x1, ..."""
    import pyarrow

    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    columns = np.ascontiguousarray(array.T)
    return pyarrow.table(dict(zip(coordinates(array.shape[1]), columns, strict=True)))


def _is_array(path: Path) -> bool:
    return path.suffix.lower() in ARRAYS


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
    except Exception as error:  # numpy, zipfile, zlib and pyarrow each have their own
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} cannot be read as {path.suffix.lower()}; it is damaged, truncated or of "
            f"another kind ({text})"
        ) from error


def _array(path: Path, key: str | None) -> NDArray[Any]:
    """Return the array of a file, shape ``(n, d)``; that of an .npy file is mapped."""
    # Pickled objects could run code when loaded, so they are never accepted.
    if path.suffix.lower() == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    else:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            name = _member(path, archive.files, key)
            needed = archive.zip.getinfo(f"{name}.npy").file_size
            check_room(needed, "an array; give fewer rows")
            array = archive[name]
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of type {array.dtype}, not numbers")
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise DataError(
            f"{path} holds an array of shape {array.shape}; a table has shape (rows, columns): "
            "reshape it, for pictures to (n, height * width)"
        )
    return np.asarray(array[:, None] if array.ndim == 1 else array)


def _member(path: Path, keys: list[str], key: str | None) -> str:
    if key is None and len(keys) == 1:
        return keys[0]
    if key in keys:
        return str(key)
    wrong = f"has no array {key!r}" if key is not None else "holds several arrays"
    raise DataError(
        f"{path} {wrong}; pick one with `key` (of a source: --set source.key=NAME); its arrays: "
        f"{', '.join(keys) or 'none'}{close_matches(key or '', keys)}"
    )


def _of_columns(path: Path) -> Any:
    """Return the columns of a file that names them as an Arrow table."""
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

    def read(**types: Any) -> Any:
        """Return all columns, or those whose types are given."""
        made = pyarrow.csv.ConvertOptions(
            strings_can_be_null=True, include_columns=list(types), column_types=types
        )
        return pyarrow.csv.read_csv(path, read_options=options, convert_options=made)

    table = read()
    doubted = [field.name for field in table.schema if _TOLD_BY_TEXT.match(str(field.type))]
    if not doubted or len(set(names)) < len(names):
        return table
    texts = read(**dict.fromkeys(doubted, pyarrow.string()))
    for name in doubted:
        if is_lost(texts.column(name), table.column(name)):
            place = names.index(name)
            table = table.set_column(place, name, texts.column(name))
    return table


_TOLD_BY_TEXT = re.compile("int64|timestamp")
"""Types of values that do not give back every text that is read as one."""


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
    return (tuple(cell.strip() for cell in cells) if named else coordinates(len(cells))), named


def _numeric_columns(path: str | Path, table: Any) -> list[int]:
    """Return the numeric columns' indices; raise for numbers that a few bad cells made text."""
    import pyarrow.types

    chosen = []
    for j, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        if is_numeric(column.type):
            # A column without a name is the row index that was written along with a table.
            if name:
                chosen.append(j)
        elif pyarrow.types.is_string(column.type):
            cells = column.to_pylist()
            bad = [row for row, cell in enumerate(cells) if cell and not is_number(cell)]
            if bad and len(bad) < len(cells) / 2:
                raise DataError(
                    f"{path}: column {name!r} is numbers but for {len(bad)} row(s), first row "
                    f"{bad[0]}: {cells[bad[0]]!r}; mend the file or choose other `columns`"
                )
    if not chosen:
        names = ", ".join(repr(name) for name in table.column_names[:5])
        raise DataError(f"{path} has no numeric column; its columns: {names}")
    return chosen


def _put(path: str | Path, content: io.BytesIO) -> None:
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content.getbuffer())
