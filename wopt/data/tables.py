"""Tables: rows of numbers read from and written to .npy, .npz, .csv and .parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wopt.errors import DataError
from wopt.files import replacing
from wopt.registry import close_matches

__all__ = [
    "check_writable",
    "column_names",
    "existing_file",
    "pick_columns",
    "read_table",
    "write_table",
]

READABLE = (".npy", ".npz", ".csv", ".parquet")
WRITABLE = (".npy", ".csv", ".parquet")


def read_table(
    path: str | Path, key: str | None = None, columns: Sequence[str | int] | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    r"""Read rows of numbers; NaN and infinities are passed on as they are.

    Args:
        path: A ``.npy``, ``.npz``, ``.csv`` (commas, with or without a line of names) or
            ``.parquet`` file; relative to the current directory.
        key: Which array of an ``.npz`` file; may be left out if it holds one.
        columns: Names or indices (from 0); all numeric columns by default. The columns of an
            array are named ``x0``, ``x1``, ...

    Returns:
        The rows, shape ``(n, d)``, and the columns' names. A 1-D array is one column.

    Raises:
        DataError: The file is missing, damaged, of an unknown kind, or holds no such numbers.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "cells.csv"
        ...     _ = file.write_text("stage,a,b\nearly,1,2\nlate,3,4\n")
        ...     read_table(file)
        (array([[1., 2.],
               [3., 4.]]), ('a', 'b'))
    """
    path = _readable(path, key)
    if path.suffix.lower() in (".npy", ".npz"):
        with _reading(path):
            array = _load_array(path, key)
        _check_array(path, array.shape, array.dtype)
        array = array[:, None] if array.ndim == 1 else array
        names = _numbered(array.shape[1])
        chosen = pick_columns(names, columns, str(path))
        table = array[:, chosen].astype(np.float64)
    else:
        with _reading(path):
            held = _load_columns(path)
        names = tuple(held.column_names)
        if held.num_rows == 0:
            raise DataError(f"{path} has no rows")
        if columns is None:
            chosen = _numeric_columns(path, held)
        else:
            chosen = pick_columns(names, columns, str(path))
            _check_numeric(path, held, chosen)
        table = np.stack([_floats(held.column(j)) for j in chosen], axis=1)
    if len(table) == 0:
        raise DataError(f"{path} has no rows")
    return table, tuple(names[j] for j in chosen)


def column_names(path: str | Path, key: str | None = None) -> tuple[str, ...]:
    """Read the names of all columns from the file's header, and nothing else.

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


def pick_columns(
    names: Sequence[str], columns: Sequence[str | int] | None, where: str
) -> list[int]:
    """Return the indices of columns given by name or index; all of them for ``None``.

    Raises:
        DataError: A column does not exist or is given twice, or none is left.

    Example:
        >>> pick_columns(("a", "b", "c"), ["c", 0], "table")
        [2, 0]
    """
    if columns is None:
        return list(range(len(names)))
    found = []
    for column in columns:
        if isinstance(column, int) and 0 <= column < len(names):
            found.append(column)
        elif isinstance(column, str) and column in names:
            found.append(list(names).index(column))
        elif isinstance(column, int):
            raise DataError(f"{where} has no column {column}; its columns are 0..{len(names) - 1}")
        else:
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise DataError(
                f"{where} has no column {column!r}; its columns: {known}"
                f"{close_matches(column, list(names))}"
            )
    if len(set(found)) < len(found) or not found:
        raise DataError(
            f"{where}: the columns {list(columns)} are "
            + ("not distinct; name each one once" if found else "none; name at least one")
        )
    return found


def write_table(path: str | Path, array: NDArray[Any], names: Sequence[str]) -> None:
    """Write rows of numbers, whole or not at all, in the format that the suffix names.

    Numbers come back from :func:`read_table` to the last bit. An ``.npy`` file holds no names.

    Args:
        path: Ends in ``.npy``, ``.csv`` or ``.parquet``; an existing file is replaced.
        array: Shape ``(n, d)``.
        names: The d columns' names.

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
    content = io.BytesIO()
    if suffix == ".npy":
        np.save(content, array, allow_pickle=False)
    elif suffix == ".csv":
        text = io.StringIO()
        # tolist gives Python floats, whose text is the shortest that reads back the same.
        csv.writer(text, lineterminator="\n").writerows([list(names), *array.tolist()])
        content.write(text.getvalue().encode())
    else:
        import pyarrow.parquet

        table = pyarrow.table({name: array[:, j] for j, name in enumerate(names)})
        pyarrow.parquet.write_table(table, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def check_writable(path: str | Path) -> None:
    """Raise unless :func:`write_table` knows the file's suffix and its folder exists.

    Raises:
        DataError: It does not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITABLE:
        raise DataError(
            f"{path}: no table is written to a file with suffix {suffix!r}; known: "
            f"{', '.join(WRITABLE)}"
        )
    if not Path(path).parent.is_dir():
        raise DataError(f"{path} cannot be written: the folder {Path(path).parent} does not exist")


def existing_file(path: str | Path) -> Path:
    """Return the path of a file that exists.

    Raises:
        DataError: There is no such file; the message names close ones in the same folder.
    """
    path = Path(path)
    if path.is_file():
        return path
    where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it{where}")
    if not path.parent.is_dir():
        raise DataError(f"{path} does not exist, nor does the folder {path.parent}{where}")
    beside = sorted(other.name for other in path.parent.iterdir())
    raise DataError(f"{path} does not exist{where}{close_matches(path.name, beside)}")


def _readable(path: str | Path, key: str | None) -> Path:
    path = existing_file(path)
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise DataError(
            f"{path}: no table is read from a file with suffix {suffix!r}; known: "
            f"{', '.join(READABLE)}"
        )
    if key is not None and suffix != ".npz":
        raise DataError(f"{path}: `key` picks an array of an .npz file, and this is {suffix}")
    return path


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a parser says about damaged bytes into one message that names the file."""
    try:
        yield
    except DataError:
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
    # Pickled objects could run code when loaded, so they are never accepted.
    with path.open("rb") as stream:
        if path.suffix.lower() == ".npy":
            return np.lib.format.read_array(stream, allow_pickle=False)
        with zipfile.ZipFile(stream) as archive, archive.open(_member(path, archive, key)) as part:
            return np.lib.format.read_array(part, allow_pickle=False)


def _array_header(path: Path, key: str | None) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with path.open("rb") as stream:
        if path.suffix.lower() == ".npz":
            archive = zipfile.ZipFile(stream)
            with archive, archive.open(_member(path, archive, key)) as part:
                return _shape_and_type(part)
        shape, dtype = _shape_and_type(stream)
        missing = stream.tell() + dtype.itemsize * int(np.prod(shape)) - path.stat().st_size
        if missing > 0:
            raise ValueError(f"{missing} bytes are missing at the end")
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
        raise DataError(f"{path} {wrong}; pick one with `key`; its arrays: {known}{close}")
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
    # 0, 1, 2, ... are the names that pandas gives; other numbers are the first row already.
    counted = len(cells) > 1 and cells == [str(j) for j in range(len(cells))]
    named = counted or not all(_is_number(cell) for cell in cells)
    return (tuple(cell.strip() for cell in cells) if named else _numbered(len(cells))), named


def _load_columns(path: Path) -> Any:
    """Return the file's columns as a pyarrow table."""
    import pyarrow.csv
    import pyarrow.parquet

    if path.suffix.lower() == ".parquet":
        return pyarrow.parquet.read_table(path)
    names, named = _csv_header(path)
    options = pyarrow.csv.ReadOptions(
        column_names=list(names),
        skip_rows=1 if named else 0,
        # A column's type is inferred from the first block, so that must be the whole file.
        block_size=min(path.stat().st_size + 1, 2**31 - 1),
    )
    return pyarrow.csv.read_csv(path, read_options=options)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_numeric(kind: Any) -> bool:
    import pyarrow.types

    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _floats(column: Any) -> NDArray[np.float64]:
    import pyarrow

    return np.asarray(column.cast(pyarrow.float64()).to_numpy(), dtype=np.float64)


def _numeric_columns(path: Path, table: Any) -> list[int]:
    """Return the numeric columns' indices; refuse a column that a few bad cells made text."""
    import pyarrow.types

    chosen = []
    for j, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        if _is_numeric(column.type):
            # A column without a name is the row index that was written along with a table.
            if name:
                chosen.append(j)
        elif pyarrow.types.is_string(column.type):
            cells = column.to_pylist()
            bad = [row for row, cell in enumerate(cells) if cell and not _is_number(cell)]
            if bad and len(bad) < len(cells) / 2:
                raise DataError(
                    f"{path}: column {name!r} is numbers but for {len(bad)} row(s), first row "
                    f"{bad[0]}: {cells[bad[0]]!r}; mend the file or choose other `columns`"
                )
    if not chosen:
        names = ", ".join(repr(name) for name in table.column_names[:5])
        hint = "; separate columns by commas" if ";" in names or "\\t" in names else ""
        raise DataError(f"{path} has no numeric column; its columns: {names}{hint}")
    return chosen


def _check_numeric(path: Path, table: Any, chosen: list[int]) -> None:
    wrong = [j for j in chosen if not _is_numeric(table.column(j).type)]
    if wrong:
        names = ", ".join(repr(table.column_names[j]) for j in wrong)
        raise DataError(
            f"{path}: column(s) {names} do not hold numbers (first value "
            f"{table.column(wrong[0])[0].as_py()!r}); choose numeric columns"
        )
