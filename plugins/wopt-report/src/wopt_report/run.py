"""What a page shows of a run, read from its directory and checked."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator

import wopt.report
from wopt.errors import RunError
from wopt.reading import printable, read_text
from wopt.store import SPARE, Losses, RunDirectory, damaged, parsed, read_lines
from wopt.tensors import Array as Stored
from wopt.tensors import check_tensors, read_tensors
from wopt.typed import Typed

Array = NDArray[np.float64]

FIGURES = {
    "paths": Stored("steps m d"),
    "backward": Stored("steps k d"),
    "real": Stored("r columns"),
    "generated": Stored("g columns"),
    "real_images": Stored("a h w"),
    "generated_images": Stored("b h w"),
    "grid_log_density": Stored("y x"),
    "grid_true_log_density": Stored("y x"),
    "grid_extent": Stored("4", finite=True),
    "real_many": Stored("many 2"),
    "labels": Stored("bytes", dtype=torch.uint8),
}
"""The tensors of ``figures.safetensors``."""

SNAPSHOT = {
    "points": Stored("n d", needed=True, finite=True),
    "weights": Stored("n"),
    "log_density": Stored("n"),
    "exact_log_density": Stored("n"),
    "exact": Stored("m d"),
}
"""The tensors of a file of ``snapshots``."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A snapshot of a run: its time, and its arrays with one row per particle."""

    time: float
    arrays: dict[str, Array]


def read_snapshot(path: Path) -> Snapshot:
    """Read a file of ``snapshots``."""
    tensors, metadata = read_tensors(path)
    arrays = check_tensors(path, tensors, SNAPSHOT, remedy=SPARE)
    try:
        time = float(metadata["time"])
    except (KeyError, ValueError) as error:
        raise damaged(path, f"`time`: {error}", SPARE) from None
    return Snapshot(time, {k: v.double().numpy() for k, v in arrays.items()})


Name = Annotated[str, AfterValidator(functools.partial(printable, one_line=True))]


@dataclasses.dataclass(frozen=True)
class Grid(Typed):
    """The values of a column that is not continuous: on a grid, with names for categories."""

    width: float
    origin: float
    names: list[Name] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Labels(Typed):
    """Names of columns and of the flow's coordinates; grids, and the seconds that dates count."""

    columns: list[Name]
    coordinates: list[Name]
    grids: dict[Name, Grid] = dataclasses.field(default_factory=dict)
    dates: dict[Name, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class PlottedRun(wopt.report.Run):
    """The content of a run directory, with what pictures show.

    Attributes:
        config_text: The configuration file's text.
        arrays: ``figures.safetensors``, float64; empty if there is none.
        labels: Names of columns and coordinates.
        losses: The lines of ``losses.jsonl``.
        snapshots: Snapshots of particles, in the order of time.
    """

    config_text: str
    arrays: dict[str, Array]
    labels: Labels
    losses: list[Losses]
    snapshots: list[Snapshot]


def read_plotted_run(path: Path) -> PlottedRun:
    """Read a run directory; files that a run may lack are left out.

    Raises:
        ConfigError: There is no run.
        DamagedError: A file is damaged.
    """
    directory, known = RunDirectory(path), vars(wopt.report.read_run(path))
    arrays, labels = read_figures(directory.figures)
    return PlottedRun(
        **known,
        config_text=printable(read_text(directory.config)),
        arrays=arrays,
        labels=labels,
        losses=read_lines(directory.losses, Losses),
        snapshots=[read_snapshot(path) for path in directory.snapshots()],
    )


def read_figures(path: Path) -> tuple[dict[str, Array], Labels]:
    """Return the arrays of ``figures.safetensors``, float64, and names of columns."""
    if not path.exists():
        return {}, Labels([], [])
    tensors = check_tensors(path, read_tensors(path)[0], FIGURES)
    raw = tensors.pop("labels", None)
    try:
        labels = Labels([], []) if raw is None else parsed(bytes(raw.numpy()), Labels)
    except RunError as error:
        raise damaged(path, f"`labels`: {error}") from None
    if any(not grid.width > 0 for grid in labels.grids.values()):
        raise damaged(path, "a `width` of `labels` is not positive")
    for key, named in (("real", labels.columns), ("paths", labels.coordinates)):
        if named and key in tensors and tensors[key].shape[-1] > len(named):
            raise damaged(path, f"`labels` has too few names for `{key}`")
    if "grid_extent" in tensors:
        left, right, low, high = tensors["grid_extent"].tolist()
        if not (left < right and low < high):
            raise damaged(path, "`grid_extent` is not a window")
    return {k: v.double().numpy() for k, v in tensors.items()}, labels
