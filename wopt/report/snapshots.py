"""Snapshots of an evolution: the particles of a run at some times, read and checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from wopt.report.style import Array
from wopt.store.documents import SPARE, damaged
from wopt.tensors import read_tensors

__all__ = ["Snapshot", "read_snapshot"]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A snapshot of a run: its time, and its arrays with one row per particle."""

    time: float
    arrays: dict[str, Array]


def read_snapshot(path: Path) -> Snapshot:
    """Read a file of ``snapshots``.

    Raises:
        RunError: The file is damaged.
    """
    tensors, metadata = read_tensors(path)
    try:
        time = float(metadata["time"])
        arrays = {k: v.double().numpy() for k, v in tensors.items()}
        points = arrays["points"]
        if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
            raise ValueError("`points` is not a table of numbers")
        if any(len(a) != len(points) for k, a in arrays.items() if k != "exact"):
            raise ValueError("its arrays differ in their numbers of rows")
        if "exact" in arrays and arrays["exact"].shape[1:] != points.shape[1:]:
            raise ValueError("`exact` has another dimension than `points`")
    except (KeyError, ValueError, TypeError) as error:
        raise damaged(path, str(error), SPARE) from None
    return Snapshot(time, arrays)
