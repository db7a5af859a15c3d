"""Frames of pandas, polars and pyarrow, as Arrow tables and back."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Hashable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.tables import of_array
from wopt.data.texts import texts_of_times
from wopt.data.times import is_time, of_times
from wopt.errors import DataError
from wopt.reading import parsed_json


def is_frame(x: Any) -> bool:
    """Whether an object is a table with named columns, of pandas, polars or pyarrow.

    Example:
        >>> is_frame(np.zeros((2, 2)))
        False
    """
    return type(x).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow") and (
        hasattr(type(x), "columns") or hasattr(x, "to_frame")
    )


def as_table(x: Any) -> Any:
    """Return a frame, an array or a tensor as an Arrow table.

    Args:
        x: A frame of pandas, polars or pyarrow; or numbers of shape ``(n, d)``, whose columns are
            named ``x0``, ``x1``, ...
    """
    import pyarrow

    if isinstance(x, pyarrow.Table):
        return x
    kind, x = type(x).__module__.partition(".")[0], as_frame(x)
    try:
        if kind == "polars":
            return x.to_arrow()
        return _of_pandas(x) if kind == "pandas" else _of_numbers(x)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"rows are numbers or a table of columns, and this {type(x).__name__} is neither: "
            f"{_instead(x) or text}"
        ) from None


def _of_pandas(x: Any) -> Any:
    """Return a frame of pandas as an Arrow table; values of types that Arrow lacks are texts."""
    import pyarrow

    x = x.rename(columns=str) if len(x.columns) else x
    if twice := sorted(set(x.columns[x.columns.duplicated()])):
        raise DataError(f"several columns are named {', '.join(twice)}; rename them")
    odd = x.columns[[not isinstance(t, np.dtype) or t.kind not in "biuf" for t in x.dtypes]]
    return pyarrow.Table.from_pandas(
        x.assign(**{name: _held(x[name]) for name in odd}), preserve_index=False
    )


def _held(values: Any) -> Any:
    """Return a series of pandas, or its values as an array or as texts, as Arrow can hold them.

    Periods are the times at which they begin.
    """
    import pyarrow
    from pyarrow import types

    if (kind := str(values.dtype)).startswith("period"):
        return values.dt.to_timestamp()
    if kind == "category" and _lacking(values.dtype):
        return values.cat.rename_categories(values.cat.categories.astype(str))
    for made in (values, np.asarray(values)):
        try:
            kind = pyarrow.array(made, from_pandas=True).type
        except (pyarrow.ArrowException, TypeError, ValueError):
            continue
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if not (types.is_nested(kind) or types.is_binary(kind) or hasattr(kind, "extension_name")):
            return made
    return values.astype(object).map(str, na_action="ignore")


def _lacking(dtype: Any) -> str:
    """Return the name of a type of pandas, or of its categories, that Arrow has no word for."""
    categories = getattr(dtype, "categories", None)
    name = str(dtype if categories is None else categories.dtype)
    return name if name.startswith(("period", "interval")) else ""


def _given_back(values: Any, name: str) -> Any:
    """Return a series of texts, or of times, as periods or intervals."""
    import pandas

    if hasattr(values, "cat"):
        return values.cat.rename_categories(_given_back(values.cat.categories.to_series(), name))
    if name.startswith("period"):
        return values.astype(name)
    dtype: Any = pandas.api.types.pandas_dtype(name)
    ends = values.dropna().str.extract(r"^.(.*), (.*).$").astype(dtype.subtype)
    made = pandas.arrays.IntervalArray.from_arrays(ends[0], ends[1], dtype.closed)
    return pandas.Series(made, ends.index).reindex(values.index)


def as_frame(x: Any) -> Any:
    """Return a series of pandas or polars as a frame of one column, and a lazy frame's rows."""
    if hasattr(type(x), "columns") or not hasattr(x, "to_frame"):
        return x.collect() if hasattr(x, "collect") else x
    return x.to_frame() if x.name not in (None, "") else x.to_frame("x0")


def _instead(x: Any) -> str:
    """Return advice for objects that hold rows but are not tables."""
    if isinstance(x, (str, PathLike)):
        return (
            f"a file is read by `wopt run {x}`, by pandas or polars, or by "
            f"wopt.solve({{'name': 'array', 'path': {str(x)!r}}})"
        )
    if type(x).__name__ == "AnnData":
        return "give one of its arrays (x.obsm['X_pca']), or write it and use the source `anndata`"
    return ""


def _of_numbers(x: Any) -> Any:
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    array = np.asarray(x)
    if array.dtype.kind in "cmM":  # numpy would drop imaginary parts, and count nanoseconds
        raise DataError(
            f"x holds values of type {array.dtype}, not numbers; make them real: parts, or times "
            "since a moment"
        )
    if array.dtype.kind not in "biuf":
        array = array.astype(np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(f"x has rows, shape (n, d); got shape {array.shape}")
    return of_array(array)


def arrow_table(x: Tensor, columns: Columns) -> Any:
    """Return rows of numbers as an Arrow table of categories, integers and numbers.

    Args:
        x: Shape ``(n, d)``, or without the conditions; discrete columns are rounded.

    Example:
        >>> import torch
        >>> size = Column("size", "categorical", (-0.5, 1.5), 1.0, 0.0, ("s", "l"), "string")
        >>> arrow_table(torch.tensor([[1.0], [0.2]]), Columns((size,))).to_pydict()
        {'size': ['l', 's']}
    """
    import pyarrow

    known = _numbers(x, columns)
    chosen = [*columns.columns, *(one.column for one in columns.derived)]
    about = {column.name: column for column in chosen}
    return pyarrow.table({name: _values(known[name], about[name]) for name in known})


def array_of(x: Tensor, columns: Columns) -> Any:
    """Return rows ``(n, d)`` as an array of numbers; categories that are texts stay codes."""
    known = _numbers(x, columns)
    for column in (*columns.columns, *(one.column for one in columns.derived)):
        if column.name in known and column.kind == "categorical" and not column.coded:
            values = _values(known[column.name], column).to_pylist()
            numbers = [np.nan if value is None else float(value) for value in values]
            known[column.name] = np.array(numbers)
    return np.stack([*known.values()], 1)


def _numbers(x: Tensor, columns: Columns) -> dict[str, NDArray[np.float64]]:
    """Return the columns of the table by name, in its order, NaN where a value is missing."""
    given = max(0, x.shape[1] - len(columns.moved))
    chosen = Columns(columns.columns[: x.shape[1]], given)
    rows = _with_gaps(chosen, chosen.seen(x.detach().cpu().double())).numpy()
    known = {c.name: rows[:, j] for j, c in enumerate(chosen.columns) if not c.mask}
    for one in columns.derived:
        if set(one.of) <= set(known):
            values = torch.from_numpy(one.values(known, len(rows)))
            known[one.column.name] = one.column.round(values).numpy()
    return {name: known[name] for name in columns.of_table if name in known}


def _with_gaps(columns: Columns, x: Tensor) -> Tensor:
    """Return rows with NaN where a mask says that a value is missing."""
    index, rows = {name: j for j, name in enumerate(columns.names)}, x.clone()
    for j, column in enumerate(columns.columns):
        if column.mask in index:
            of = index[column.mask]
            rows[:, of] = rows[:, of].masked_fill(rows[:, j] > 0.5, np.nan)
    return rows


def _values(numbers: Any, column: Column) -> Any:
    import pyarrow

    if column.type == "null":
        return pyarrow.nulls(len(numbers))
    if is_time(column.type):
        made = of_times(numbers, column)
        return texts_of_times(made, column.format) if column.format else made
    kind, known = pyarrow.type_for_alias(column.type), np.isfinite(numbers)
    if column.kind == "categorical":
        # A row that is not finite has no category.
        codes = np.where(known, numbers, 0).astype(np.int64)
        cells = [column.categories[k] if ok else None for k, ok in zip(codes, known, strict=True)]
        return pyarrow.array(cells, kind)
    if column.kind == "integer" and not column.width % 1:
        numbers = np.round(numbers)
    if pyarrow.types.is_string(kind):
        word = next(iter(column.categories), None)
        shown = (repr(x).removesuffix(".0") if np.isfinite(x) else word for x in numbers.tolist())
        return pyarrow.array(shown, kind)
    if pyarrow.types.is_integer(kind):
        info = np.iinfo(kind.to_pandas_dtype())
        # The greatest 64-bit integers are no floats: the next one below them is.
        greatest = np.nextafter(float(info.max), 0) if info.max > 2**53 else float(info.max)
        inside = np.round(np.where(known, numbers, 0)).clip(float(info.min), greatest)
        return pyarrow.array(inside.astype(kind.to_pandas_dtype()), mask=~known)
    # NaN is what a missing value is in the data, or null where they have that.
    return pyarrow.array(np.asarray(numbers, dtype=np.float64), from_pandas=True).cast(
        kind, safe=False
    )


@dataclasses.dataclass(frozen=True)
class FrameType:
    """The library of a frame and its columns, by which other frames are made like it.

    Attributes:
        library: ``pandas``, ``polars`` or ``pyarrow``.
        head: The columns without rows, as an Arrow table.
        labels: The columns' names in the frame, which pandas allows to be no texts.
        types: Types of pandas that Arrow lacks, by the columns' names.

    Example:
        >>> import pyarrow
        >>> kind = FrameType.of(pyarrow.table({"a": [1], "b": ["x"]}))
        >>> FrameType.from_json(kind.to_json()).frame(pyarrow.table({"a": [2.0]})).to_pydict()
        {'a': [2]}
    """

    library: str
    head: Any
    labels: tuple[Hashable, ...]
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, x: Any) -> FrameType:
        """Return the type of a frame."""
        x = as_frame(x)
        head = as_table(x.iloc[:0] if hasattr(x, "iloc") else x[:0])
        library = type(x).__module__.partition(".")[0]
        if library != "pandas":
            return cls(library, head, tuple(head.column_names))
        named = zip(head.column_names, map(_lacking, x.dtypes), strict=True)
        return cls(library, head, tuple(x.columns), {name: kind for name, kind in named if kind})

    def frame(self, table: Any) -> Any:
        """Return an Arrow table as such a frame; columns that this one lacks keep their types."""
        import pyarrow

        typed = {field.name for field in self.head.schema if str(field.type) != "null"}
        like = self.head.select([name for name in table.column_names if name in typed])
        moments = [field for field in like.schema if is_time(str(field.type))]  # with their zones
        table = table.cast(_schema(table.schema, pyarrow.schema(moments)))
        if self.library == "polars":
            import polars

            types: Any = polars.DataFrame(polars.from_arrow(like)).schema
            return polars.DataFrame(polars.from_arrow(table)).cast(dict(types))
        if self.library == "pandas":
            labels = dict(zip(self.head.column_names, self.labels, strict=True))
            frame = table.to_pandas().astype(dict(like.to_pandas().dtypes))
            back = {n: _given_back(frame[n], t) for n, t in self.types.items() if n in frame}
            return frame.assign(**back).rename(columns=labels)
        return table.cast(_schema(table.schema, like.schema))

    def to_json(self) -> str:
        """Return JSON text for :meth:`from_json`."""
        import pyarrow

        stream = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(stream, self.head.schema) as writer:
            columns = [column.combine_chunks() for column in self.head.columns]
            writer.write_batch(pyarrow.record_batch(columns, schema=self.head.schema))
        head = base64.b64encode(stream.getvalue()).decode()
        about = {"library": self.library, "labels": self.labels, "types": dict(self.types)}
        return json.dumps(about | {"head": head})

    @classmethod
    def from_json(cls, text: str) -> FrameType:
        """Return the type that :meth:`to_json` described."""
        import pyarrow

        about = parsed_json(text)
        try:
            head = pyarrow.ipc.open_stream(base64.b64decode(about["head"])).read_all()
            labels = tuple(tuple(x) if isinstance(x, list) else x for x in about["labels"])
            types = {str(name): str(kind) for name, kind in about.get("types", {}).items()}
            made = cls(str(about["library"]), head, labels, types)
        except (KeyError, TypeError, AttributeError, OSError, pyarrow.ArrowException) as error:
            raise ValueError(f"it describes no frame: {error}") from None
        if len(labels) != head.num_columns:
            raise ValueError("it describes a frame with as many labels as columns")
        return made


def _schema(schema: Any, like: Any) -> Any:
    """Return a schema with the fields of another where that has them."""
    import pyarrow

    fields = [like.field(field.name) if field.name in like.names else field for field in schema]
    return pyarrow.schema(fields)
