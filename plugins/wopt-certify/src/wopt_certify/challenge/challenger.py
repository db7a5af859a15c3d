"""What a challenger is: it fits a normalised density to rows, with an effort that can grow."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

__all__ = ["FEW", "Challenger", "Density", "rows_of_turn"]

FEW = 2000
"""Rows of the first turn."""

Density = Callable[[Tensor], Tensor]
"""A normalised log-density: from points ``(n, d)`` to nats ``(n,)``."""


class Challenger(abc.ABC):
    """Fits normalised densities to rows, on the data's side of a flow or on the noise's.

    Attributes:
        dims: Least and largest number of columns.
        conditional: Whether densities given conditions, the last columns, can be fitted.
    """

    name: ClassVar[str]
    cites: ClassVar[tuple[str, ...]] = ()
    dims: ClassVar[tuple[int, float]] = (1, float("inf"))
    conditional: ClassVar[bool] = False

    @abc.abstractmethod
    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return a density fitted to rows ``(n, d)``.

        Args:
            fit: Rows to fit on, shape ``(n, d)``.
            hold: Rows that choose, shape ``(m, d)``.
            turn: Number of the turn, from 0; later ones make more effort.
        """

    def takes(self, turn: int, rows: int) -> bool:
        """Return whether it takes a turn: densities in closed form with a few rows, then all."""
        return turn == 0 or (turn == 1 and rows > FEW)


def rows_of_turn(x: Tensor, turn: int) -> Tensor:
    """Return the rows ``(n, d)`` of a turn, float64."""
    return (x if turn else x[:FEW]).double()
