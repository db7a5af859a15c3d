"""Reading a run directory for its report, with the snapshots of an evolution."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from wopt.errors import RunError
from wopt.interfaces.measurement import document_of
from wopt.reading import printable, read_text
from wopt.store.directory import RunDirectory
from wopt.store.documents import SPARE, damaged, parsed, read_document, read_lines
from wopt.store.result import Losses, RunResult
from wopt.tensors import SCHEMAS, check_tensors, read_tensors
from wopt.train.record import StepRecord
from wopt.typed import Typed

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A snapshot of a run: its time, and its arrays with one row per particle."""

    time: float
    arrays: dict[str, Array]


def read_snapshot(path: Path) -> Snapshot:
    """Read a file of ``snapshots``."""
    tensors, metadata = read_tensors(path)
    arrays = check_tensors(path, tensors, SCHEMAS["snapshot"], remedy=SPARE)
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
class Run:
    """The content of a run directory, checked.

    Attributes:
        name: The folder's name.
        config: The resolved configuration.
        config_text: The configuration file's text.
        steps: The records of the steps.
        result: ``result.json``; ``None`` if the run was interrupted.
        certificate: ``certificate.json``, if there is one.
        arrays: ``figures.safetensors``, float64; empty if there is none.
        labels: Names of columns and coordinates.
        losses: The lines of ``losses.jsonl``.
        snapshots: Snapshots of particles, in the order of time.
    """

    name: str
    config: dict[str, Any]
    config_text: str
    steps: list[StepRecord]
    result: RunResult | None
    certificate: Any
    arrays: dict[str, Array]
    labels: Labels
    losses: list[Losses] = dataclasses.field(default_factory=list)
    snapshots: list[Snapshot] = dataclasses.field(default_factory=list)

    @property
    def pulls_back(self) -> bool:
        """Whether the model represents the data (and not the target)."""
        model = self.config.get("model") if self.result is None else self.result.model
        return bool(model != "push_forward")


def read_run(path: Path) -> Run:
    """Read a run directory; files that a run may lack are left out.

    Raises:
        ConfigError: There is no run.
        DamagedError: A file is damaged.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    arrays, labels = read_figures(directory.figures)
    return Run(
        path.resolve().name,
        config,
        printable(read_text(directory.config)),
        directory.read_steps(),
        read_document(directory.result, RunResult),
        _certificate(directory),
        arrays,
        labels,
        read_lines(directory.losses, Losses),
        [read_snapshot(path) for path in directory.snapshots()],
    )


def _certificate(directory: RunDirectory) -> Any:
    """Return the certificate; ``None`` if there is none, or nothing installed that reads it."""
    of = document_of("certificate")
    again = f"make it again with `wopt certify {directory.path}`"
    return None if of is None else read_document(directory.certificate, of, again)


def read_figures(path: Path) -> tuple[dict[str, Array], Labels]:
    """Return the arrays of ``figures.safetensors``, float64, and names of columns."""
    if not path.exists():
        return {}, Labels([], [])
    tensors = check_tensors(path, read_tensors(path)[0], SCHEMAS["figures"])
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
