"""Snapshots of an evolution: the particles of a run at some times, read and checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wopt.report.style import Array
from wopt.store.documents import SPARE, damaged
from wopt.tensors import SCHEMAS, check_tensors, read_tensors

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
    arrays = check_tensors(path, tensors, SCHEMAS["snapshot"], remedy=SPARE)
    try:
        time = float(metadata["time"])
    except (KeyError, ValueError) as error:
        raise damaged(path, f"`time`: {error}", SPARE) from None
    return Snapshot(time, {k: v.double().numpy() for k, v in arrays.items()})
