"""Sources: the law at the start."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor

from wopt.component import Component
from wopt.data.dataset import Dataset
from wopt.errors import DataError
from wopt.interfaces import returns
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import ProximalScheme
from wopt.memory import within_memory
from wopt.origin import check_returned
from wopt.runtime import ALONE, Runtime

Carry = Callable[[Tensor, float, float], Tensor]
"""Maps rows ``(n, d)`` in the data's units, their time and another time to rows at the other."""


class Source(Component, abc.ABC):
    """Loads or generates the start: splits, preprocessing, and its exact density if known.

    Constructing a source does no work; :meth:`load` does.
    """

    kind: ClassVar[str] = "source"
    returns = returns.SOURCE
    role: ClassVar[Literal["data", "start"]] = "data"
    """``data`` are modelled; a ``start`` is a simple law that is carried to the target."""

    @abc.abstractmethod
    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed.

        Raises:
            DataError: The data cannot be used; the message says where and what to do.
        """

    runtime: Runtime = ALONE
    """What loads it: large tables are in ``runtime.memory``, and its processes may share rows."""

    def loaded(self, seed: int, runtime: Runtime = ALONE) -> Dataset:
        """Return the result of :meth:`load`, checked.

        Args:
            seed: Seed of the split, and of what is drawn.
            runtime: What loads it.
        """
        what = f"the rows of source {type(self).__name__}; ask for fewer"
        of = copy.copy(self)
        of.runtime = runtime
        with within_memory(what):
            dataset = of.load(seed)
        check_returned(self, "load", dataset, returns.SOURCE["load"](self, (seed,), dataset))
        return dataset

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of files that :meth:`table` reads, besides those that every command reads."""

    def table(self, path: Path) -> Any:
        """Return another file as an Arrow table, as this source reads its own.

        ``wopt score`` and ``wopt sample --conditions`` thereby read files of the kind that the
        model was trained on.

        Args:
            path: A file with one of the :attr:`suffixes`.
        """
        raise DataError(f"{path}: {type(self).__name__} does not read such files")

    def snapshots(self) -> Any:
        """Return the populations of a source of several times; ``None`` for others.

        They are ``MeasuredPopulations`` of wopt-evolution.
        """
        return None

    def aims(self, objective: Objective, scheme: ProximalScheme, dataset: Dataset) -> Objective:
        """Return the objective for this source; by default the configured one.

        A source that knows the targets of its rows, such as one of snapshots, adds them.

        Args:
            objective: The configured objective.
            scheme: The scheme of the steps.
            dataset: The result of :meth:`load`.
        """
        return objective

    def judge(self, carry: Carry, blocks: int, seed: int) -> Any:
        """Return measurements of a flow through :meth:`snapshots`; ``None`` for other sources.

        They are a ``PopulationsReport`` of wopt-evolution.

        Args:
            carry: Maps rows ``(n, d)`` at one time, that time and another time to rows at the
                other.
            blocks: Number of steps made.
            seed: Seed of the choice of rows.
        """
        return None

    def check(self) -> None:
        """Raise :class:`~wopt.errors.DataError` for mistakes that show without loading."""
