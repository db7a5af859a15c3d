"""Tables: rows of numbers read from and written to .npy, .npz, .csv and .parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wopt.errors import DataError
from wopt.registry import close_matches

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["column_names", "pick_columns", "read_table", "write_table"]

READABLE = (".npy", ".npz", ".csv", ".parquet")
WRITABLE = (".npy", ".csv", ".parquet")


def read_table(
    path: str | Path, key: str | None = None, columns: Sequence[str | int] | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Read rows of numbers; NaN and infinities are passed on as they are.

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
        ...     _ = file.write_text("stage,a,b\\nearly,1,2\\nlate,3,4\\n")
        ...     read_table(file)
        (array([[1., 2.],
               [3., 4.]]), ('a', 'b'))
    """
    path = _existing(Path(path), key)
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
            frame = _load_frame(path)
        names = tuple(str(name) for name in frame.columns)
        if columns is None:
            chosen = _numeric(path, frame)
        else:
            chosen = pick_columns(names, columns, str(path))
            _check_numeric(path, frame, chosen)
        table = frame.iloc[:, chosen].to_numpy(dtype=np.float64, na_value=np.nan)
    if len(table) == 0:
        raise DataError(f"{path} has no rows")
    return table, tuple(names[j] for j in chosen)


def column_names(path: str | Path, key: str | None = None) -> tuple[str, ...]:
    """Read the names of all columns from the file's header, and nothing else.

    Raises:
        DataError: The file is missing, of an unknown kind, or its header cannot be read.
    """
    path = _existing(Path(path), key)
    with _reading(path):
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            return tuple(pyarrow.parquet.read_schema(path).names)
        if path.suffix.lower() == ".csv":
            return tuple(str(name) for name in _load_frame(path, nrows=0).columns)
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
        DataError: Unknown suffix, a wrong number of names, or a place that cannot be written.
    """
    path, array = Path(path), np.asarray(array)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise DataError(
            f"{path}: tables are not written as {suffix or 'a file without suffix'!r}; known: "
            f"{', '.join(WRITABLE)}"
        )
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(
            f"{path}: an array of shape {tuple(array.shape)} does not fit the {len(names)} "
            f"column names {', '.join(names)}"
        )
    content = io.BytesIO()
    if suffix == ".npy":
        np.save(content, array, allow_pickle=False)
    else:
        import pandas as pd

        frame = pd.DataFrame(array, columns=list(names))
        if suffix == ".csv":
            content.write(frame.to_csv(index=False, lineterminator="\n").encode())
        else:
            frame.to_parquet(content, index=False)
    try:
        _write_atomically(path, content.getbuffer())
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error


def _write_atomically(path: Path, content: memoryview) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _existing(path: Path, key: str | None) -> Path:
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise DataError(
            f"{path}: tables of kind {suffix or 'without suffix'!r} cannot be read; known: "
            f"{', '.join(READABLE)}"
        )
    if not path.is_file():
        beside = path.parent
        near = sorted(p.name for p in beside.iterdir()) if beside.is_dir() else []
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
        raise DataError(f"{path} {what}{where}{close_matches(path.name, near)}")
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
            with zipfile.ZipFile(stream) as archive:
                with archive.open(_member(path, archive, key)) as part:
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


def _load_frame(path: Path, nrows: int | None = None) -> pd.DataFrame:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    with path.open(newline="", encoding="utf-8-sig") as stream:
        first = next(csv.reader(stream), [])
    named = not _all_numbers(first)
    # The default parser of floats is fast and wrong in the last bit.
    frame: pd.DataFrame = pd.read_csv(
        path,
        header=0 if named else None,
        nrows=nrows,
        encoding="utf-8-sig",
        float_precision="round_trip",
        low_memory=False,
        index_col=False,
    )
    return frame if named else frame.set_axis(list(_numbered(frame.shape[1])), axis=1)


def _all_numbers(cells: list[str]) -> bool:
    """Say if a first line is data already; ``0, 1, 2, ...`` are names that pandas gives."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return False
    return bool(values) and (len(values) == 1 or values != list(range(len(values))))


def _is_numeric(column: pd.Series[Any]) -> bool:
    import pandas as pd

    kinds = pd.api.types
    return kinds.is_float_dtype(column.dtype) or kinds.is_integer_dtype(column.dtype)


def _numeric(path: Path, frame: pd.DataFrame) -> list[int]:
    """Return the numeric columns' indices; refuse a column that a few bad cells made text."""
    import pandas as pd

    chosen = []
    for j, name in enumerate(frame.columns):
        column = frame.iloc[:, j]
        if _is_numeric(column):
            # A column without a name is the row index that somebody's pandas wrote along.
            if not str(name).startswith("Unnamed: "):
                chosen.append(j)
        elif pd.api.types.is_string_dtype(column.dtype):
            text = (pd.to_numeric(column, errors="coerce").isna() & column.notna()).to_numpy()
            if text.mean() < 0.5:
                row = int(text.argmax())
                raise DataError(
                    f"{path}: column {name!r} is numbers but for {int(text.sum())} row(s), first "
                    f"row {row}: {column.iloc[row]!r}; mend the file or choose other `columns`"
                )
    if not chosen:
        names = ", ".join(repr(str(name)) for name in frame.columns[:5])
        hint = "; separate columns by commas" if ";" in names or "\\t" in names else ""
        raise DataError(f"{path} has no numeric column; its columns: {names}{hint}")
    return chosen


def _check_numeric(path: Path, frame: pd.DataFrame, chosen: list[int]) -> None:
    import pandas as pd

    for j in chosen:
        column = frame.iloc[:, j]
        if not (_is_numeric(column) or pd.api.types.is_bool_dtype(column.dtype)):
            value = column.iloc[0] if len(column) else None
            raise DataError(
                f"{path}: column {frame.columns[j]!r} does not hold numbers (its first value is "
                f"{value!r}); choose numeric columns"
            )
