"""Tables: rows of numbers read from and written to .npy, .npz, .csv and .parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wopt.data.files import (
    READABLE,
    column_names,
    existing_file,
    has_names,
    is_number,
    load_columns,
)
from wopt.errors import DataError
from wopt.files import check_takes_files, replacing
from wopt.registry import close_matches

__all__ = [
    "READABLE",
    "check_writable",
    "column_names",
    "existing_file",
    "has_names",
    "pick_columns",
    "read_frame",
    "read_table",
    "write_frame",
    "write_table",
]

WRITABLE = (".npy", ".csv", ".parquet")


def read_table(
    path: str | Path, key: str | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    r"""Read all columns of numbers; NaN and infinities are kept.

    Args:
        path: A ``.npy``, ``.npz``, ``.csv`` (commas, with or without a line of names) or
            ``.parquet`` file; relative to the current directory.
        key: Name of the array in an ``.npz`` file; not needed if it holds one.

    Returns:
        The rows, shape ``(n, d)``, and the columns' names; those of an array are ``x0``, ``x1``,
        ... A 1-D array is one column.

    Raises:
        DataError: The file is missing, damaged, of an unknown kind, or does not hold numbers.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "cells.csv"
        ...     _ = file.write_text("stage,a,b\nearly,1,2\nlate,3,4\n")
        ...     read_table(file)
        (array([[1., 2.],
               [3., 4.]]), ('a', 'b'))
    """
    stored = load_columns(path, key)
    names = tuple(stored.column_names)
    if stored.num_rows == 0:
        raise DataError(f"{path} has no rows")
    # An array is numbers, also one of booleans.
    chosen = _numeric_columns(Path(path), stored) if has_names(path) else range(len(names))
    table = np.stack([floats(stored.column(j)) for j in chosen], axis=1)
    return table, tuple(names[j] for j in chosen)


def pick_columns(
    names: Sequence[str], columns: Sequence[str | int] | None, origin: str
) -> list[int]:
    """Return the indices of columns given by name or index; all of them for ``None``.

    Raises:
        DataError: A column does not exist or is given twice, or the list is empty.

    Example:
        >>> pick_columns(("a", "b", "c"), ["c", 0], "table")
        [2, 0]
    """
    if columns is None:
        return list(range(len(names)))
    indices = []
    for column in columns:
        if isinstance(column, int) and 0 <= column < len(names):
            indices.append(column)
        elif isinstance(column, str) and column in names:
            indices.append(list(names).index(column))
        elif isinstance(column, int):
            raise DataError(f"{origin} has no column {column}; its columns are 0..{len(names) - 1}")
        else:
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise DataError(
                f"{origin} has no column {column!r}; its columns: {known}"
                f"{close_matches(column, list(names))}"
            )
    if len(set(indices)) < len(indices) or not indices:
        raise DataError(
            f"{origin}: the columns {list(columns)} are "
            + ("not distinct; name each one once" if indices else "none; name at least one")
        )
    return indices


def write_table(path: str | Path, array: NDArray[Any], names: Sequence[str]) -> None:
    """Write rows of numbers atomically, in the format that the suffix names.

    Numbers come back from :func:`read_table` to the last bit. An ``.npy`` file holds no names.

    Args:
        path: Path that ends in ``.npy``, ``.csv`` or ``.parquet``; an existing file is replaced.
        array: Rows, shape ``(n, d)``.
        names: Names of the d columns.

    Raises:
        DataError: Unknown suffix, a missing folder, or a wrong number of names.
        RunError: The disk is full or the place cannot be written.
    """
    check_writable(path)
    path, array = Path(path), np.asarray(array)
    suffix = path.suffix.lower()
    if array.ndim != 2 or array.shape[1] != len(set(names)) or len(names) != len(set(names)):
        raise DataError(
            f"{path}: an array of shape {tuple(array.shape)} needs as many distinct column names "
            f"as it has columns, got {', '.join(names)}"
        )
    if suffix == ".npy":
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        _put(path, content)
        return
    import pyarrow

    write_frame(path, pyarrow.table({name: array[:, j] for j, name in enumerate(names)}))


def read_frame(path: str | Path, key: str | None = None) -> Any:
    """Read a file as an Arrow table, with columns of every type.

    Args:
        path: A ``.npy``, ``.npz``, ``.csv`` or ``.parquet`` file.
        key: Name of the array in an ``.npz`` file; not needed if it holds one.

    Raises:
        DataError: The file is missing, damaged, of an unknown kind, has no rows, or two columns
            of one name.
    """
    table = load_columns(path, key)
    names = table.column_names
    if table.num_rows == 0:
        raise DataError(f"{path} has no rows")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise DataError(f"{path}: several columns are named {', '.join(twice)}; rename them")
    return table


def write_frame(path: str | Path, table: Any) -> None:
    """Write an Arrow table atomically to a ``.csv`` or ``.parquet`` file.

    Raises:
        DataError: The suffix is another one, or the folder is missing.
        RunError: The disk is full or the place cannot be written.
    """
    check_writable(path)
    path, content = Path(path), io.BytesIO()
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, content)
    else:
        # Python floats, whose text is the shortest that reads back the same.
        cells: Iterable[Any] = zip(*(column.to_pylist() for column in table.columns), strict=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([table.column_names, *cells])
        content.write(text.getvalue().encode())
    _put(path, content)


def _put(path: Path, content: io.BytesIO) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def check_writable(path: str | Path) -> None:
    """Raise unless :func:`write_table` supports the suffix and the folder is writable.

    Raises:
        DataError: The suffix is unknown, or the folder is missing.
        RunError: The folder cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITABLE:
        raise DataError(
            f"{path}: tables are not written to files with suffix {suffix!r}; known: "
            f"{', '.join(WRITABLE)}"
        )
    if not Path(path).parent.is_dir():
        raise DataError(f"{path} cannot be written: the folder {Path(path).parent} does not exist")
    check_takes_files(Path(path))


def is_numeric(kind: Any) -> bool:
    """Whether an Arrow type is numeric."""
    import pyarrow.types

    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def floats(column: Any) -> NDArray[np.float64]:
    """Return a column of numbers or truth values as float64, NaN where a value is missing.

    Raises:
        DataError: Integers are too large for float64 to represent exactly.
    """
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
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _numeric_columns(path: Path, table: Any) -> list[int]:
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
