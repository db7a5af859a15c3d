"""Sources: where the start comes from."""

from __future__ import annotations

import abc
from typing import ClassVar, Literal

from wopt.component import Component
from wopt.data.dataset import Dataset

__all__ = ["Source"]


class Source(Component, abc.ABC):
    """Loads or generates the start: splits, preprocessing, and what is known of its density.

    Constructing a source does no work; :meth:`load` does.
    """

    kind: ClassVar[str] = "source"
    role: ClassVar[Literal["data", "start"]] = "data"
    """``data`` is to be modelled; a ``start`` is a simple law to be carried to the target."""

    @abc.abstractmethod
    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed.

        Raises:
            DataError: The data cannot be used; the message says where and what to do.
        """

    def check(self) -> None:
        """Raise :class:`~wopt.errors.DataError` for what can be seen without loading."""
