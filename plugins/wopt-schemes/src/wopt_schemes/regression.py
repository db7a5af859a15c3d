"""The regression of a map on given points, with nothing implicit."""

from __future__ import annotations

import dataclasses

from wopt import FlowBlock, Objective, Subproblem, Sum


@dataclasses.dataclass(frozen=True)
class Regression(Subproblem):
    """min over T of  E |T(x) - a(x)|^2 / (2 h'):  T carries the particles to their anchors."""

    implicit: Objective = dataclasses.field(default_factory=lambda: Sum([]))  # the empty sum, zero

    explicit = True
    proximal = False
    joint = False

    def stationarity(self, block: FlowBlock) -> None:
        """Return None: no part of the objective is implicit."""
