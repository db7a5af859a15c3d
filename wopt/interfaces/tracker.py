"""Trackers, which send a run's records elsewhere."""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from wopt.component import Component
from wopt.interfaces.listener import Beginning, Listener
from wopt.origin import in_words, origin


class Tracker(Component, abc.ABC):
    """Receives a run's records; an error in a tracker never ends the run."""

    kind: ClassVar[str] = "tracker"

    def start(self, config: dict[str, Any]) -> None:
        """Receive the resolved configuration, once."""

    @abc.abstractmethod
    def step(self, record: dict[str, Any]) -> None:
        """Receive the line of ``steps.jsonl`` after every step."""

    def end(self, result: dict[str, Any]) -> None:
        """Receive the content of ``result.json``, once."""


class Tracked(Listener):
    """A tracker as a listener: its errors are reported once an event and never end the run."""

    def __init__(self, tracker: Tracker, failed: Callable[[str], None]) -> None:
        self.tracker = tracker
        self.failed = failed
        self._told = set[str]()

    def begin(self, begun: Beginning) -> None:
        """Pass on the configuration."""
        self._tell("start", dict(begun.config))

    def step(self, record: Any) -> None:
        """Pass on the record."""
        self._tell("step", record.to_dict())

    def end(self, result: Any, path: Path | None = None) -> None:
        """Pass on the result."""
        self._tell("end", result.to_dict())

    def _tell(self, event: str, value: dict[str, Any]) -> None:
        try:
            getattr(self.tracker, event)(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # third-party code may raise anything
            if event not in self._told:
                whose = origin(type(self.tracker))
                self.failed(f"the tracker failed at {event}: {in_words(error)} ({whose})")
            self._told.add(event)
