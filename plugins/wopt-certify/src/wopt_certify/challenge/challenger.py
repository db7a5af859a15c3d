"""A challenger: a normalised density that competes with the model's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wopt_certify.challenge.rows import ChallengeRows

__all__ = ["Challenger", "Density", "ratios"]

Density = Callable[[Tensor], Tensor]
"""A normalised log-density: from points ``(n, d)`` to nats ``(n,)``."""


@dataclasses.dataclass(frozen=True)
class Challenger:
    """A normalised density on one side of the flow.

    Attributes:
        name: Name of the challenger.
        side: Key of :attr:`ChallengeRows.views`, in whose coordinates it is a density.
        density: The log-density.
    """

    name: str
    side: str
    density: Density

    @property
    def refit(self) -> Callable[[Tensor], Density] | None:
        """Function from rows ``(n, d)`` to a refitted density at little cost, if there is one."""
        return getattr(self.density, "refit", None)

    def anew(self, points: Tensor) -> Challenger:
        """Return the challenger, fitted to other rows ``(n, d)`` if it has a refit."""
        return self if self.refit is None else dataclasses.replace(self, density=self.refit(points))

    def ratio(self, rows: ChallengeRows) -> Tensor:
        """Return log r - log model at rows, shape ``(n,)``."""
        view = rows.views[self.side]
        return self.density(view.points) - view.log_model


def ratios(challengers: tuple[Challenger, ...], rows: ChallengeRows) -> Tensor:
    """Return log r_k - log model in nats, shape ``(n, k)``."""
    if not challengers:
        return torch.zeros(len(rows), 0, dtype=torch.float64)
    return torch.stack([c.ratio(rows) for c in challengers], dim=1)
