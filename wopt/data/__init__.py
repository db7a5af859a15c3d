"""Data: splits, invertible preprocessing, and reading tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.data.assembly import Splits, assemble, coordinates, dequantised, draw_splits
    from wopt.data.choices import (
        At,
        Choices,
        Columns,
        Context,
        Dequantise,
        File,
        Fractions,
        Key,
        Kinds,
        Missing,
        Preprocess,
        Support,
        Time,
        Weights,
        Where,
    )
    from wopt.data.dataset import Dataset, one_of_each, smooth_dataset, split
    from wopt.data.load import chosen_rows, from_table
    from wopt.data.snapshots import Clock, LeftOut, MeasuredPopulations, PopulationsReport
    from wopt.data.stream import streamed
    from wopt.data.tables import (
        READABLE,
        column_names,
        existing_file,
        pick_columns,
        read_frame,
        read_table,
        write_table,
    )
    from wopt.data.transform import AffineTransform

__all__ = [
    "READABLE",
    "AffineTransform",
    "At",
    "Choices",
    "Clock",
    "Columns",
    "Context",
    "Dataset",
    "Dequantise",
    "File",
    "Fractions",
    "Key",
    "Kinds",
    "LeftOut",
    "MeasuredPopulations",
    "Missing",
    "PopulationsReport",
    "Preprocess",
    "Splits",
    "Support",
    "Time",
    "Weights",
    "Where",
    "assemble",
    "chosen_rows",
    "column_names",
    "coordinates",
    "dequantised",
    "draw_splits",
    "existing_file",
    "from_table",
    "one_of_each",
    "pick_columns",
    "read_frame",
    "read_table",
    "smooth_dataset",
    "split",
    "streamed",
    "write_table",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "AffineTransform": "wopt.data.transform",
        "At": "wopt.data.choices",
        "Choices": "wopt.data.choices",
        "Clock": "wopt.data.snapshots",
        "Columns": "wopt.data.choices",
        "Context": "wopt.data.choices",
        "Dataset": "wopt.data.dataset",
        "Dequantise": "wopt.data.choices",
        "File": "wopt.data.choices",
        "Fractions": "wopt.data.choices",
        "Key": "wopt.data.choices",
        "Kinds": "wopt.data.choices",
        "LeftOut": "wopt.data.snapshots",
        "MeasuredPopulations": "wopt.data.snapshots",
        "Missing": "wopt.data.choices",
        "PopulationsReport": "wopt.data.snapshots",
        "Preprocess": "wopt.data.choices",
        "READABLE": "wopt.data.tables",
        "Splits": "wopt.data.assembly",
        "Support": "wopt.data.choices",
        "Time": "wopt.data.choices",
        "Weights": "wopt.data.choices",
        "Where": "wopt.data.choices",
        "assemble": "wopt.data.assembly",
        "chosen_rows": "wopt.data.load",
        "column_names": "wopt.data.tables",
        "coordinates": "wopt.data.assembly",
        "dequantised": "wopt.data.assembly",
        "draw_splits": "wopt.data.assembly",
        "existing_file": "wopt.data.tables",
        "from_table": "wopt.data.load",
        "one_of_each": "wopt.data.dataset",
        "pick_columns": "wopt.data.tables",
        "read_frame": "wopt.data.tables",
        "read_table": "wopt.data.tables",
        "smooth_dataset": "wopt.data.dataset",
        "split": "wopt.data.dataset",
        "streamed": "wopt.data.stream",
        "write_table": "wopt.data.tables",
    },
)
