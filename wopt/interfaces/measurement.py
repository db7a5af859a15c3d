"""Measurements: what is found out about a run after its steps, within a budget."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from wopt.component import Component
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener
from wopt.particles import Particles
from wopt.typed import Typed

__all__ = ["Budget", "FinishedRun", "Measurement", "Watch", "document_of", "show"]


@dataclasses.dataclass(frozen=True)
class Budget:
    """Processor time that a measurement may take.

    Attributes:
        seconds: CPU seconds; ``None`` leaves it to the options of the measurement.
        began: ``time.process_time()`` at the beginning.

    Example:
        >>> Budget(10.0).share(0.25).seconds
        2.5
    """

    seconds: float | None = None
    began: float = dataclasses.field(default_factory=time.process_time)

    def share(self, fraction: float) -> Budget:
        """Return a budget of a fraction of this one, which begins now."""
        return Budget(None if self.seconds is None else fraction * self.seconds)

    @property
    def left(self) -> float | None:
        """CPU seconds that are not spent; ``None`` without a limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (time.process_time() - self.began))


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """What a measurement is given: a run at a state, with what is known of it already.

    Attributes:
        prepared: The run's data and parts, a :class:`wopt.runs.Prepared`.
        state: Where its particles stand, with its maps, a :class:`wopt.State`.
        listener: Told of the work.
        directory: The run directory, a :class:`wopt.store.RunDirectory`, where there is one.
        blocks: The maps, which may remember the audited images of test rows.
        flow: The model, where it is at hand.
        particles: Particles at the start to measure on, instead of the run's choice.
        lower: What the last challenge between steps found, where ``stop.challenge`` asks for one.
        spent: CPU seconds since training that count to the budget of the measurements.
        fresh: Whether rows that judge are drawn anew, since they decide whether the run goes on.
        notes: Sentences that belong to every document of the run.
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


class Watch(abc.ABC):
    """Looks at a run as it goes on."""

    @abc.abstractmethod
    def see(self, state: Any) -> None:
        """Look at the state before the first step, and after every step."""

    @abc.abstractmethod
    def end(self, state: Any) -> dict[str, Any]:
        """Return fields of :class:`wopt.store.RunResult` at the end of the steps."""


class Measurement(Component, abc.ABC):
    """Measures a run; what it returns writes itself as JSON and is kept with the run.

    ``[certify]`` chooses the one that makes the certificate, ``measurements = ["name", ...]`` adds
    others, and those that are ``automatic`` are made of every run to which they apply.

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
    """What :meth:`measure` returns, so that files can be read back."""
    automatic: ClassVar[bool] = False
    """Whether it is made at the end of every run, for the field of its name in ``result.json``."""
    enabled: bool = True
    """Whether it is made at the end of a run, and not only when it is asked for."""

    def check(self, prepared: Any) -> None:
        """Raise :class:`~wopt.errors.UserError` before the first step for what cannot be had."""

    def applies(self, run: FinishedRun) -> str | None:
        """Return ``None``, or why this run cannot be measured, in words."""
        return None

    def watch(self, directory: Any, prepared: Any) -> Watch | None:
        """Return who looks at the run as it goes on; ``None`` for nobody."""
        return None

    @abc.abstractmethod
    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> Typed | None:
        """Measure the run.

        Args:
            run: The run.
            budget: The processor time that it may take; by default what the options say.
            recorded: An earlier document, whose counts are repeated where they fit, so that the
                result is the same to the bit.

        Returns:
            A document; ``None`` where there is nothing to tell after all.

        Raises:
            WoptError: It cannot be measured; the run stands.
        """


def document_of(name: str) -> type[Typed] | None:
    """Return the type of what a measurement returns; ``None`` where it is not installed."""
    registry = host().registry
    if name not in registry.names("measurement"):
        return None
    cls: Any = registry.load("measurement", name)
    return getattr(cls, "document", None)


def show(document: Any, console: Any) -> None:
    """Print a document of a measurement: as it says itself, or its fields one by one.

    Args:
        document: What a measurement returned; it may have a method ``show(console)``.
        console: A :class:`rich.console.Console`.
    """
    if hasattr(document, "show"):
        document.show(console)
        return
    for key, value in document.to_dict().items():
        console.print(f"{key}: {value}", markup=False)
