"""Trackers: watch a run and send its records elsewhere."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from wopt.component import Component

__all__ = ["Tracker"]


class Tracker(Component, abc.ABC):
    """Receives what a run reports; an error in a tracker never ends the run."""

    kind: ClassVar[str] = "tracker"

    def start(self, config: dict[str, Any]) -> None:
        """Called once with the resolved configuration."""

    @abc.abstractmethod
    def step(self, record: dict[str, Any]) -> None:
        """Called after every step with the line of ``steps.jsonl``."""

    def end(self, result: dict[str, Any]) -> None:
        """Called once with the content of ``result.json``."""
