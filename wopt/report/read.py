"""What is known of a finished run, read from its directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wopt.errors import RunError
from wopt.interfaces.measurement import document_of
from wopt.reading import parsed_json, read_text
from wopt.store.directory import RunDirectory
from wopt.store.documents import damaged, read_document
from wopt.store.result import RunResult
from wopt.train.record import StepRecord


@dataclasses.dataclass(frozen=True)
class Run:
    """The documents of a run directory.

    Attributes:
        name: The folder's name.
        config: The resolved configuration.
        steps: The records of the steps.
        result: ``result.json``; ``None`` if the run was interrupted.
        certificate: ``certificate.json``, if there is one that something installed reads.
        said: The ``summary`` of each other measurement that the run asked for, after its name.
    """

    name: str
    config: dict[str, Any]
    steps: list[StepRecord]
    result: RunResult | None
    certificate: Any
    said: tuple[str, ...]

    @property
    def pulls_back(self) -> bool:
        """Whether the model represents the data (and not the target)."""
        model = self.config.get("model") if self.result is None else self.result.model
        return bool(model != "push_forward")


def read_run(path: Path) -> Run:
    """Read the documents of a run; those that it may lack are left out.

    Raises:
        ConfigError: There is no run.
        DamagedError: A file is damaged.
    """
    directory, of = RunDirectory(path), document_of("certificate")
    again = f"make it again with `wopt certify {directory.path}`"
    return Run(
        path.resolve().name,
        directory.read_config(),
        directory.read_steps(),
        read_document(directory.result, RunResult),
        None if of is None else read_document(directory.certificate, of, again),
        tuple(_said(directory.measurements)),
    )


def _said(path: Path) -> Iterator[str]:
    """Yield the sentences of ``measurements.json``; documents that nothing reads are left out."""
    try:
        made = parsed_json(read_text(path)) if path.exists() else {}
        for name, table in made.items():
            of = document_of(name)
            words = getattr(None if of is None else of.from_dict(table), "summary", "")
            if words:
                yield f"{name}: {words}"
    except (AttributeError, RunError, ValueError) as error:
        raise damaged(path, error) from None
