"""Reading a run directory for its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from wopt.interfaces.measurement import document_of
from wopt.reading import parsed_json, printable, read_text
from wopt.report.snapshots import Snapshot, read_snapshot
from wopt.store.directory import RunDirectory
from wopt.store.documents import damaged, read_document, read_lines
from wopt.store.result import Losses, RunResult
from wopt.tensors import read_tensors
from wopt.train.record import StepRecord

__all__ = ["Labels", "Run", "read_figures", "read_losses", "read_run"]

_DIMENSIONS = {
    "paths": 3,
    "backward": 3,
    "real": 2,
    "generated": 2,
    "real_images": 3,
    "generated_images": 3,
    "grid_log_density": 2,
    "grid_true_log_density": 2,
    "grid_extent": 1,
    "real_many": 2,
}
_TOGETHER = (
    ("real", "generated"),
    ("real_images", "generated_images"),
    ("paths", "backward"),
)
"""Pairs of figures that are drawn with the same columns."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """Names of the data's columns and of the flow's coordinates."""

    columns: list[str]
    coordinates: list[str]


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
    arrays: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
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
        read_losses(directory.losses),
        [read_snapshot(path) for path in directory.snapshots()],
    )


def _certificate(directory: RunDirectory) -> Any:
    """Return the certificate; ``None`` if there is none, or nothing installed that reads it."""
    of = document_of("certificate")
    again = f"make it again with `wopt certify {directory.path}`"
    return None if of is None else read_document(directory.certificate, of, again)


def read_losses(path: Path) -> list[Losses]:
    """Return the lines of ``losses.jsonl``; empty if there is no such file.

    Raises:
        DamagedError: The file is damaged.
    """
    curves = read_lines(path, Losses)
    for number, one in enumerate(curves, 1):
        if not one.iterations or len(one.iterations) != len(one.losses):
            raise damaged(path, f"line {number} has different numbers of losses and iterations")
    return curves


def read_figures(path: Path) -> tuple[dict[str, np.ndarray[Any, np.dtype[np.float64]]], Labels]:
    """Return the arrays of ``figures.safetensors``, float64, and names of columns.

    Raises:
        DamagedError: The file is damaged, or arrays do not fit each other.
    """
    if not path.exists():
        return {}, Labels([], [])
    tensors, _ = read_tensors(path)
    raw = tensors.pop("labels", None)
    try:
        labels = Labels([], []) if raw is None else _labels(parsed_json(bytes(raw.numpy())))
    except (ValueError, TypeError, KeyError) as error:
        raise damaged(path, f"`labels`: {error}") from None
    for key, tensor in tensors.items():
        if tensor.ndim != _DIMENSIONS.get(key, tensor.ndim) or not tensor.numel():
            raise damaged(path, f"`{key}` has shape {tuple(tensor.shape)}")
        if key in _DIMENSIONS and not tensor.is_floating_point():
            raise damaged(path, f"`{key}` is {tensor.dtype}")
    _check_shapes(path, tensors, labels)
    return {k: v.double().numpy() for k, v in tensors.items() if k in _DIMENSIONS}, labels


def _check_shapes(path: Path, tensors: Mapping[str, Tensor], labels: Labels) -> None:
    """Raise unless arrays that are shown together have the same columns."""
    for keys in _TOGETHER:
        widths = {tensors[key].shape[-1] for key in keys if key in tensors}
        if len(widths) > 1:
            raise damaged(path, f"{' and '.join(keys)} have different numbers of columns")
    stages = {len(tensors[key]) for key in ("paths", "backward") if key in tensors}
    if len(stages) > 1:
        raise damaged(path, "paths and backward have different numbers of steps")
    for key, named in (("real", labels.columns), ("paths", labels.coordinates)):
        if named and key in tensors and tensors[key].shape[-1] > len(named):
            raise damaged(path, f"`labels` has too few names for `{key}`")
    extent = tensors.get("grid_extent")
    if extent is not None:
        ends = extent.tolist()
        if len(ends) != 4 or not (ends[0] < ends[1] and ends[2] < ends[3]):
            raise damaged(path, "`grid_extent` is not a window")
        if not bool(extent.isfinite().all()):
            raise damaged(path, "`grid_extent` is not finite")


def _labels(document: Any) -> Labels:
    columns, coordinates = (document[k] for k in ("columns", "coordinates"))
    if not isinstance(columns, list) or not isinstance(coordinates, list):
        raise TypeError("columns and coordinates are not lists of names")
    return Labels(*([printable(str(name)) for name in names] for names in (columns, coordinates)))
