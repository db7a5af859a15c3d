"""The run directory: what a run leaves, written completely or not at all, read with checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import tomli_w
from torch import Tensor

from wopt.config.read import read_toml
from wopt.errors import ConfigError, RunError
from wopt.files import replacing, write_json, write_text
from wopt.store.documents import read_lines, write_lines
from wopt.train.record import StepRecord

__all__ = ["RunDirectory", "read_tensors", "write_tensors"]


class RunDirectory:
    """Paths and files of one run.

    Tensors are safetensors and the rest JSON or TOML, so nothing that is loaded can run code.

    Example:
        >>> RunDirectory(Path("runs/demo")).block(3).as_posix()
        'runs/demo/blocks/003.safetensors'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.steps = path / "steps.jsonl"
        self.losses = path / "losses.jsonl"
        self.result = path / "result.json"
        self.state = path / "state.safetensors"
        self.refined = path / "refined.safetensors"
        self.transform = path / "transform.safetensors"
        self.certificate = path / "certificate.json"
        self.figures = path / "figures.safetensors"
        self.samples = path / "samples.npy"
        self.report = path / "report.html"
        self.log = path / "log.txt"

    def block(self, step: int) -> Path:
        """Return the place of the block made by a step (1, 2, ...)."""
        return self.path / "blocks" / f"{step:03d}.safetensors"

    def snapshot(self, step: int) -> Path:
        """Return the place of the particles after so many steps."""
        return self.path / "snapshots" / f"{step:03d}.safetensors"

    def snapshots(self) -> list[Path]:
        """Return the snapshots that there are, in the order of time."""
        return sorted((self.path / "snapshots").glob("*.safetensors"), key=lambda p: int(p.stem))

    def create(self, config: dict[str, Any]) -> None:
        """Make the directory and write the resolved configuration.

        Raises:
            ConfigError: There is a run already, or the place is no directory.
            RunError: The place cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: is a file, so no run can be kept there; use --out")
        if self.config.exists() or self.state.exists():
            raise ConfigError(
                f"{self.path}: holds a run already, which is not overwritten; choose another place "
                f"with --out, go on with `wopt resume {self.path}`, or delete it"
            )
        try:
            (self.path / "blocks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be made: {error.strerror}") from error
        write_text(self.config, tomli_w.dumps(config))

    def read_config(self) -> dict[str, Any]:
        """Return the resolved configuration.

        Raises:
            ConfigError: There is no run here.
            RunError: It is damaged.
        """
        if not self.path.is_dir() or not self.config.is_file():
            raise ConfigError(f"{self.path}: is no run directory (it has no config.toml)")
        try:
            return read_toml(self.config)
        except ConfigError as error:
            raise RunError(f"this run is damaged: {error}") from None

    def write_steps(self, records: Sequence[StepRecord]) -> None:
        """Write ``steps.jsonl`` anew."""
        write_lines(self.steps, records)

    def read_steps(self, count: int | None = None) -> list[StepRecord]:
        """Return the records, or the first ``count`` of them.

        Raises:
            RunError: Some are missing or damaged.
        """
        records = read_lines(self.steps, StepRecord)[:count]
        if count is not None and len(records) < count:
            raise RunError(
                f"{self.steps}: has {len(records)} records where the checkpoint has {count} steps; "
                "the run is damaged"
            )
        return records

    def write_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        write_json(self.result, result)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically."""
    # Copies, since safetensors refuses tensors that share memory (tied parameters, say).
    copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(copies, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a safetensors file's tensors and metadata.

    Raises:
        RunError: It is missing, truncated or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{path}: is missing, so the run is damaged") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(
            f"{path}: is damaged or truncated ({error}); restore it from a copy, or run again"
        ) from None
