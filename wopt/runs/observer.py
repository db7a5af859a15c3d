"""Observers: who is told of a run's progress. This one is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wopt.train.record import StepRecord

if TYPE_CHECKING:
    from wopt.config.model import RunConfig
    from wopt.runs.prepare import Prepared
    from wopt.store.directory import RunDirectory
    from wopt.train.problem import State

__all__ = ["Observer"]


class Observer:
    """Does nothing; subclasses show progress."""

    def begin(self, config: RunConfig, prepared: Prepared, state: State) -> None:
        """The data are loaded and the parts fit."""

    def progress(self, step: int, what: str, done: int, total: int, loss: float) -> None:
        """Some of the work of a step is done."""

    def step(self, record: StepRecord) -> None:
        """A step is accepted and saved."""

    def pause(self, what: str) -> None:
        """Work of another kind begins."""

    def warn(self, text: str) -> None:
        """Something went wrong that does not end the run."""

    def certificate(self, found: dict[str, Any]) -> None:
        """The certificate is written."""

    def end(self, config: RunConfig, result: dict[str, Any], directory: RunDirectory) -> None:
        """All files are written."""
