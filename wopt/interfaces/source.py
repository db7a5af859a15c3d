"""Sources: where the start comes from."""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor

from wopt.component import Component
from wopt.data.dataset import Dataset
from wopt.data.snapshots import PopulationsReport, Snapshots
from wopt.errors import DataError
from wopt.interfaces import returns
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import ProximalScheme
from wopt.memory import within_memory

__all__ = ["Carry", "Source"]

Carry = Callable[[Tensor, float, float], Tensor]
"""Rows ``(n, d)`` in the data's units at one time, that time and another: rows at the other."""

_COPIES = 3
"""Of a split that there are at a time, at the least: as loaded, as particles, moved."""


class Source(Component, abc.ABC):
    """Loads or generates the start: splits, preprocessing, and what is known of its density.

    Constructing a source does no work; :meth:`load` does.
    """

    kind: ClassVar[str] = "source"
    returns = returns.SOURCE
    role: ClassVar[Literal["data", "start"]] = "data"
    """``data`` is to be modelled; a ``start`` is a simple law to be carried to the target."""

    @abc.abstractmethod
    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed.

        Raises:
            DataError: The data cannot be used; the message says where and what to do.
        """

    def loaded(self, seed: int) -> Dataset:
        """Return what :meth:`load` does, unless it would be more than this machine's memory.

        Raises:
            DataError: As :meth:`load`.
            UserError: It would be.
        """
        what = f"the rows of source {type(self).__name__}; ask for fewer"
        return within_memory(lambda: self.load(seed), what, share=1 / _COPIES)

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Of files that :meth:`table` reads, beside those that every command reads."""

    def table(self, path: Path) -> Any:
        """Return another file as an Arrow table, as this source reads its own.

        So that ``wopt score`` and ``wopt sample --conditions`` take files of the kind that the
        model was trained on.

        Args:
            path: A file with one of the :attr:`suffixes`.

        Raises:
            DataError: It cannot be read.
        """
        raise DataError(f"{path}: {type(self).__name__} reads no such file")

    def snapshots(self) -> Snapshots | None:
        """Return the populations of a source that knows several times; ``None`` for others."""
        return None

    def aims(self, objective: Objective, scheme: ProximalScheme, dataset: Dataset) -> Objective:
        """Return the objective as this source means it: by default as it is configured.

        A source that knows where its rows go, such as one of snapshots, gives the objective its
        targets.

        Args:
            objective: As configured.
            scheme: How steps are made.
            dataset: What :meth:`load` returned.

        Raises:
            UserError: The objective or the scheme is of no use with this source.
        """
        return objective

    def judge(self, carry: Carry, blocks: int, seed: int) -> PopulationsReport | None:
        """Return what is measured of a flow through :meth:`snapshots`; ``None`` for others.

        Args:
            carry: Rows ``(n, d)`` at one time, that time and another to rows at the other.
            blocks: How many steps were made.
            seed: Of the choice of rows.
        """
        return None

    def check(self) -> None:
        """Raise :class:`~wopt.errors.DataError` for what can be seen without loading."""
