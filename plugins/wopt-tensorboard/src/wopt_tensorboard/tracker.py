"""The tracker ``tensorboard``."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

import wopt
from wopt.component import fields


@fields
class TensorBoard(wopt.Tracker):
    """A tracker that writes event files, which ``tensorboard --logdir FOLDER`` shows.

    Every number of a step is a scalar at its step; numbers of the result are ``result/...`` at the
    last step. The configuration is a text.

    Example:
        >>> TensorBoard(folder="events").folder
        'events'
    """

    cites = ()

    folder: Annotated[
        str, Field(description="folder of the event files, with one folder for each run")
    ] = "runs/tensorboard"
    run: Annotated[
        str | None,
        Field(min_length=1, description="name of the run's folder; by default its date and time"),
    ] = None

    def __post_init__(self) -> None:
        self._writer: Any = None
        self._step = 0

    def start(self, config: dict[str, Any]) -> None:
        """Open the event file and write the configuration."""
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        path = Path(self.folder) / (self.run or time.strftime("%Y%m%d-%H%M%S"))
        self._writer = SummaryWriter(str(path))
        text = json.dumps(config, indent=2, default=str)
        self._writer.add_text("config", f"```json\n{text}\n```", 0)

    def step(self, record: dict[str, Any]) -> None:
        """Write the numbers of a step."""
        self._step = int(record["step"])
        self._write("", record)

    def end(self, result: dict[str, Any]) -> None:
        """Write the numbers of the result and close the file."""
        self._write("result/", result)
        if self._writer is not None:
            self._writer.close()

    def _write(self, prefix: str, table: dict[str, Any]) -> None:
        if self._writer is None:
            return
        for name, value in numbers(table):
            self._writer.add_scalar(prefix + name, value, self._step)
        self._writer.flush()


def numbers(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the finite numbers of a table by name; names in nested tables are ``outer/inner``.

    Example:
        >>> list(numbers({"a": 1, "b": {"c": 2.5}, "d": "x", "e": float("nan"), "f": True}))
        [('a', 1.0), ('b/c', 2.5)]
    """
    for name, value in table.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{name}/")
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        elif math.isfinite(value):
            yield prefix + name, float(value)
