"""Sources: where the start comes from."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar, Literal

from wopt.component import Component
from wopt.data.dataset import Dataset
from wopt.errors import DataError
from wopt.interfaces import returns

__all__ = ["Source"]


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

    def check(self) -> None:
        """Raise :class:`~wopt.errors.DataError` for what can be seen without loading."""
