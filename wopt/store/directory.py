"""The run directory: files written completely or not at all, and read with checks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from wopt.config.read import read_toml
from wopt.errors import ConfigError, DamagedError, RunError
from wopt.files import check_takes_files, locked, remove_leftovers, write_json, write_text
from wopt.reading import check_no_link
from wopt.store.documents import read_lines, write_lines
from wopt.train.record import StepRecord

FORMAT = 1
"""Format of the directory, ``versions.run-directory`` in ``config.toml``; later ones are refused.
Directories without it are of format 0, and are read: they lack ``data.json``.
"""

_FORMAT_KEY = "run-directory"


class RunDirectory:
    """Paths and files of one run.

    Tensors are safetensors and the rest JSON or TOML, so nothing that is loaded can run code. None
    of the files may be a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.data = path / "data.json"
        self.steps = path / "steps.jsonl"
        self.losses = path / "losses.jsonl"
        self.result = path / "result.json"
        self.state = path / "state.safetensors"
        self.pieces = path / "state"
        self.particles = path / "particles"
        self.refined = path / "refined.safetensors"
        self.transform = path / "transform.safetensors"
        self.certificate = path / "certificate.json"
        self.measurements = path / "measurements.json"
        self.figures = path / "figures.safetensors"
        self.samples = path / "samples.npy"
        self.report = path / "report.html"
        self.log = path / "log.txt"
        self.blocks = path / "blocks"

    def block(self, step: int) -> Path:
        """Return the path of the block of a step (1, 2, ...)."""
        return self.blocks / f"{step:03d}.safetensors"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that a run can have."""
        return self.blocks, self.pieces, self.particles, self.path / "snapshots"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that a run can have, except its blocks."""
        return (
            self.config, self.data, self.transform, self.state, self.refined, self.steps,
            self.losses, self.result, self.certificate, self.measurements, self.figures,
            self.samples, self.report, self.log,
        )  # fmt: skip

    @property
    def begun(self) -> bool:
        """Whether the directory has a file of a run that has reached its first state."""
        steps = self.steps.is_file() and self.steps.stat().st_size > 0
        return self.state.exists() or steps or self.block(1).exists()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing here, and remove half-written files of killed ones."""
        with locked(self.path):
            remove_leftovers(self.path)
            check_takes_files(self.state)
            for folder in self.folders:
                check_no_link(folder)
                remove_leftovers(folder)
            yield

    def snapshot(self, step: int) -> Path:
        """Return the path of the particles after ``step`` steps."""
        return self.path / "snapshots" / f"{step:03d}.safetensors"

    def snapshots(self) -> list[Path]:
        """Return the existing snapshots, in the order of time."""
        there = (self.path / "snapshots").glob("*.safetensors")  # including half-written ones
        return sorted((p for p in there if p.stem.isdecimal()), key=lambda p: int(p.stem))

    def create(self, config: dict[str, Any]) -> None:
        """Make the directory and write the resolved configuration; see :meth:`check_free`."""
        self.check_free()
        self.check_links()
        self.make()
        versions = {**config.get("versions", {}), _FORMAT_KEY: str(FORMAT)}
        write_text(self.config, tomli_w.dumps({**config, "versions": versions}))

    def make(self) -> None:
        """Make the folders."""
        try:
            self.blocks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be made: {error.strerror}") from error

    def check_free(self) -> None:
        """Raise if a new run cannot be kept here."""
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: is a file, so no run can be kept there; use --out")
        if self.config.exists() or self.state.exists():
            with locked(self.path):  # raises if that run is in training
                pass
            raise ConfigError(
                f"{self.path}: holds a run already, which is not overwritten; choose another place "
                f"with --out, go on with `wopt resume {self.path}`, or delete it"
            )

    def check_links(self) -> None:
        """Raise if a file of the run is a link."""
        for path in (*self.folders, *self.files):
            check_no_link(path)

    def read_config(self) -> dict[str, Any]:
        """Return the resolved configuration."""
        if not self.path.is_dir():
            raise ConfigError(f"{self.path}: is not a run directory (it has no config.toml)")
        self.check_links()
        if not self.config.exists():
            raise ConfigError(f"{self.path}: is not a run directory (it has no config.toml)")
        try:
            table = read_toml(self.config, own=False)
        except ConfigError as error:
            raise DamagedError(f"this run is damaged: {error}") from None
        self._check_format(table.get("versions"))
        return table

    def _check_format(self, versions: object) -> None:
        known = versions if isinstance(versions, dict) else {}
        text = str(known.get(_FORMAT_KEY, "0"))
        if text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= FORMAT:
            return
        by = known.get("wopt-core", "a later version")
        raise ConfigError(
            f"{self.path}: is a run directory of format {text[:20]!r}, written by wopt-core "
            f"{str(by)[:20]!r}, and this wopt-core reads formats up to {FORMAT}; install the "
            "version that wrote it"
        )

    def write_steps(self, records: Sequence[StepRecord]) -> None:
        """Rewrite ``steps.jsonl``."""
        write_lines(self.steps, records)

    def read_steps(self, count: int | None = None) -> list[StepRecord]:
        """Return the records, or the first ``count`` of them."""
        records = read_lines(self.steps, StepRecord)[:count]
        if count is not None and len(records) < count:
            raise DamagedError(
                f"{self.steps}: has {len(records)} records where the checkpoint has {count} steps; "
                "the run is damaged"
            )
        return records

    def write_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        write_json(self.result, result)
