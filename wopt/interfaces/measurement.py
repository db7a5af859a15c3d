"""Measurements of a run after its steps, within a budget."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from wopt.component import Component
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Budget
from wopt.interfaces.listener import SILENT, Listener
from wopt.particles import Particles
from wopt.typed import Typed


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """The input of a measurement: a run at a state, with its known properties.

    Attributes:
        prepared: The run's data and parts, a :class:`wopt.runs.Prepared`.
        state: Particles and maps, a :class:`wopt.State`.
        listener: Receives progress of the work.
        directory: The run directory, a :class:`wopt.store.RunDirectory`, if there is one.
        blocks: The maps, which may cache the audited images of test rows.
        flow: The model, if it is available.
        particles: Particles at the start to measure on, instead of the run's choice.
        lower: Result of the last challenge between steps, if ``stop.challenge`` is set.
        spent: CPU seconds since training that count towards the budget of measurements.
        fresh: Whether test rows are drawn anew, as they decide whether the run continues.
        notes: Sentences that are added to every document of the run.
    """

    prepared: Any
    state: Any
    listener: Listener = SILENT
    directory: Any = None
    blocks: Sequence[FlowBlock] | None = None
    flow: Any = None
    particles: Particles | None = None
    lower: Any = None
    spent: float = 0.0
    fresh: bool = False
    notes: tuple[str, ...] = ()

    @property
    def maps(self) -> Sequence[FlowBlock]:
        """The maps: ``blocks``, or else those of the state."""
        maps: Sequence[FlowBlock] = self.state.blocks if self.blocks is None else self.blocks
        return maps


class Watch(abc.ABC):
    """An observer of a run during its steps."""

    @abc.abstractmethod
    def see(self, state: Any) -> None:
        """Receive the state before the first step and after every step."""

    @abc.abstractmethod
    def end(self, state: Any) -> dict[str, Any]:
        """Return fields of :class:`wopt.store.RunResult` at the end of the steps."""


class Measurement(Component, abc.ABC):
    """Measures a run; its document is written as JSON and kept with the run.

    ``[certify]`` chooses the measurement that makes the certificate, ``measurements = ["name",
    ...]`` adds others, and ``automatic`` ones are made of every run to which they apply.

    Example:
        >>> import dataclasses, wopt
        >>> @dataclasses.dataclass(frozen=True)
        ... class Moved(Typed):
        ...     distance: float
        >>> class HowFar(wopt.Measurement):
        ...     '''The length of the way of the held-out particles.'''
        ...     document = Moved
        ...     def measure(self, run, budget=None, recorded=None):
        ...         return Moved(sum(record.w2_step for record in run.state.records))
    """

    kind: ClassVar[str] = "measurement"
    document: ClassVar[type[Typed]]
    """Type of the result of :meth:`measure`, by which files are read back.

    A sentence that it has as ``summary`` is printed where ``measurements`` asks for it.
    """
    automatic: ClassVar[bool] = False
    """Whether it is made at the end of every run, for the field of its name in ``result.json``."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Tables of a configuration that are there for it."""
    enabled: bool = True
    """Whether it is made at the end of a run, and not only on request."""

    def check(self, prepared: Any) -> None:
        """Raise :class:`~wopt.errors.UserError` before the first step if it cannot be made."""

    def applies(self, run: FinishedRun) -> str | None:
        """Return ``None``, or the reason why this run cannot be measured, in words."""
        return None

    def watch(self, directory: Any, prepared: Any) -> Watch | None:
        """Return an observer of the run during its steps, or ``None``."""
        return None

    @abc.abstractmethod
    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> Typed | None:
        """Measure the run.

        Args:
            run: The run.
            budget: Processor time that it may take; by default set by its options.
            recorded: An earlier document, whose counts are repeated if they fit, so that the result
                is the same to the bit.

        Returns:
            A document; ``None`` if there is no result.
        """


def document_of(name: str) -> type[Typed] | None:
    """Return the type of a measurement's document; ``None`` if it is not installed."""
    registry = host().registry
    if name not in registry.names("measurement"):
        return None
    cls: Any = registry.load("measurement", name)
    return getattr(cls, "document", None)


def print_document(document: Any, console: Any) -> None:
    """Print a document by its own method, or its fields one by one."""
    if hasattr(document, "show"):
        document.show(console)
        return
    for key, value in document.to_dict().items():
        console.print(f"{key}: {value}", markup=False)
