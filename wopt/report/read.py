"""Reading a run directory for its report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from wopt.certify.results import Certificate
from wopt.report.evolution import Snapshot, read_snapshot
from wopt.store.directory import RunDirectory
from wopt.store.documents import damaged, read_document, read_lines
from wopt.store.result import Losses, RunResult
from wopt.train.record import StepRecord

__all__ = ["Labels", "Run", "read_run"]

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


@dataclasses.dataclass(frozen=True)
class Labels:
    """Names of the data's columns and of the flow's coordinates."""

    columns: list[str]
    coordinates: list[str]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run directory says, checked.

    Attributes:
        name: The folder's name.
        config: The resolved configuration.
        config_text: The same as written.
        steps: Their records.
        result: ``result.json``; ``None`` if the run was interrupted.
        certificate: ``certificate.json``, if there is one.
        arrays: ``figures.safetensors``, float64; empty if there is none.
        labels: Names of columns and coordinates.
        losses: The lines of ``losses.jsonl``.
        snapshots: Of particles, in the order of time.
    """

    name: str
    config: dict[str, Any]
    config_text: str
    steps: list[StepRecord]
    result: RunResult | None
    certificate: Certificate | None
    arrays: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
    labels: Labels
    losses: list[Losses] = dataclasses.field(default_factory=list)
    snapshots: list[Snapshot] = dataclasses.field(default_factory=list)

    @property
    def pulls_back(self) -> bool:
        """Whether the model stands for the data (and not for the target)."""
        model = self.config.get("model") if self.result is None else self.result.model
        return bool(model != "push_forward")


def read_run(path: Path) -> Run:
    """Read a run directory; what a run may lack is left out.

    Raises:
        ConfigError: There is no run.
        RunError: A file is damaged.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    arrays, labels = _arrays(directory.figures)
    return Run(
        path.resolve().name,
        config,
        directory.config.read_text(encoding="utf-8"),
        directory.read_steps(),
        read_document(directory.result, RunResult),
        read_document(
            directory.certificate, Certificate, f"make it again with `wopt certify {path}`"
        ),
        arrays,
        labels,
        _losses(directory.losses),
        [read_snapshot(path) for path in directory.snapshots()],
    )


def _losses(path: Path) -> list[Losses]:
    curves = read_lines(path, Losses)
    for number, one in enumerate(curves, 1):
        if not one.iterations or len(one.iterations) != len(one.losses):
            raise damaged(path, f"line {number} has not as many losses as iterations")
    return curves


def _arrays(path: Path) -> tuple[dict[str, np.ndarray[Any, np.dtype[np.float64]]], Labels]:
    if not path.is_file():
        return {}, Labels([], [])
    try:
        stored = load(path.read_bytes())
        raw = stored.pop("labels", None)
        labels = Labels([], []) if raw is None else _labels(json.loads(raw.tobytes()))
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise damaged(path, str(error)) from error
    for key, array in stored.items():
        if array.ndim != _DIMENSIONS.get(key, array.ndim) or array.size == 0:
            raise damaged(path, f"`{key}` has shape {array.shape}")
    return {k: v.astype(np.float64) for k, v in stored.items() if k in _DIMENSIONS}, labels


def _labels(document: dict[str, list[str]]) -> Labels:
    return Labels(*([str(name) for name in document[k]] for k in ("columns", "coordinates")))
