"""What challengers are given, rows from two sides, and what they are: they fit densities."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.capabilities import Capability, require
from wopt.errors import CapabilityError, DataError
from wopt.interfaces import Target
from wopt.particles import Particles

FEW = 2000
"""Rows of the first turn."""

Density = Callable[[Tensor], Tensor]
"""A normalised log-density: from points ``(n, d)``, float64, to nats ``(n,)``."""


@dataclasses.dataclass(frozen=True)
class ChallengeRows:
    """Rows of p seen from the data's side and from the noise's, which differ by the map F.

        log r(x) - log model(x) = log r'(F x) - log q(F x),    r' the law of F X for X from r.

    So a challenger may be a density on either side, and challengers of both sides can be mixed.

    Attributes:
        points: By side, shape ``(n, d)``, float64: ``"data"``, x, and ``"noise"``, F(x).
        log_model: The model's log-density there, nats, shape ``(n,)``: log_det F(x) + log q(F x)
            on the data's side, log q(F x) on the noise's.
        condition: Number of coordinates, the last ones, that are conditions.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> x = torch.tensor([[2.0]], dtype=torch.float64)
        >>> moved = Particles.start(x).moved(x / 2, torch.tensor([-0.6931]).double())
        >>> rows = ChallengeRows.of(NormalTarget([0.0], [[1.0]]), x, moved)
        >>> [round(float(rows.log_model[side]), 3) for side in ("noise", "data")]
        [-1.419, -2.112]
    """

    points: dict[str, Tensor]
    log_model: dict[str, Tensor]
    condition: int = 0

    @classmethod
    def of(cls, target: Target, start: Tensor, moved: Particles) -> ChallengeRows:
        """Return the rows of a flow.

        Args:
            start: x, shape ``(n, d)``, in the flow's coordinates.
            moved: F(x) with log_det; the rows have its context as last coordinates.

        Raises:
            CapabilityError: q is not normalised, or the maps give no log_det.
            DataError: The particles are weighted.
        """
        need = Capability.POTENTIAL | Capability.NORMALISED
        require("a challenge", need, f"target {type(target).__name__}", target.provides)
        if moved.log_det is None:
            raise CapabilityError("a challenge needs LOG_DET of every block on the way")
        if moved.weights is not None:
            raise DataError("a challenge judges by samples; these particles are weighted nodes")
        y, x = (
            torch.cat(given(points.detach(), moved.context), dim=1).double().cpu()
            for points in (moved.points, start)
        )
        log_q = -target.potential(moved.points.detach()).double().cpu()
        log_model = moved.log_det.detach().double().cpu() + log_q
        return cls({"noise": y, "data": x}, {"noise": log_q, "data": log_model}, moved.condition)

    def __len__(self) -> int:
        return len(self.points["data"])

    def part(self, index: Tensor) -> ChallengeRows:
        """Return the rows of ``index``, a mask ``(n,)`` or indices ``(m,)``."""
        points, logs = (
            {k: x[index] for k, x in by.items()} for by in (self.points, self.log_model)
        )
        return ChallengeRows(points, logs, self.condition)

    def finite(self) -> Tensor:
        """Return the mask ``(n,)`` of rows with finite points and log-densities on every side."""
        columns = [*self.points.values(), torch.stack([*self.log_model.values()], 1)]
        return torch.isfinite(torch.cat(columns, 1)).all(1)

    def ratio(self, side: str, density: Density) -> Tensor:
        """Return log r - log model in nats, shape ``(n,)``, r being a density on that side."""
        return density(self.points[side]) - self.log_model[side]


@dataclasses.dataclass(frozen=True)
class Challenger:
    """A kind of normalised densities: how one is fitted, and in which turns.

    Attributes:
        name: Its name in results.
        fit: Function of the rows to fit on ``(n, d)``, those that choose ``(m, d)``, both float64,
            a seed, and the number of the turn, from 0; later ones make more effort.
        cites: Keys of the bibliography.
        most: Largest dimension.
        closed: Whether it is in closed form: it is fitted to a few rows, and then to all, and
            knows no conditions. The others take every turn after these.
    """

    name: str
    fit: Callable[[Tensor, Tensor, int, int], Density]
    cites: tuple[str, ...] = ()
    most: int = sys.maxsize
    closed: bool = True

    def takes(self, turn: int, rows: ChallengeRows) -> bool:
        """Return whether it takes a turn."""
        if not self.closed:
            return turn > 1
        new = turn == 0 or (turn == 1 and len(rows) > FEW)
        return new and rows.condition == 0 and rows.points["data"].shape[1] <= self.most
