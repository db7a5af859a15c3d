"""A challenger: a normalised density beside the model's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wopt_certify.challenge.rows import Rows

__all__ = ["Challenger", "Density", "ratios"]

Density = Callable[[Tensor], Tensor]
"""Points ``(n, d)`` to a normalised log-density ``(n,)``."""


@dataclasses.dataclass(frozen=True)
class Challenger:
    """A normalised density on one side of the flow.

    Attributes:
        name: What it is.
        side: Of :attr:`Rows.views`, in whose coordinates it is a density.
        density: It.
    """

    name: str
    side: str
    density: Density

    @property
    def refit(self) -> Callable[[Tensor], Density] | None:
        """What fits the density to more rows at little cost; ``None`` where nothing does."""
        return getattr(self.density, "refit", None)

    def anew(self, points: Tensor) -> Challenger:
        """Return the challenger fitted to other rows, shape ``(n, d)``, as it is or anew."""
        return self if self.refit is None else dataclasses.replace(self, density=self.refit(points))

    def ratio(self, rows: Rows) -> Tensor:
        """Return log r - log model at rows, shape ``(n,)``."""
        view = rows.views[self.side]
        return self.density(view.points) - view.log_model


def ratios(challengers: tuple[Challenger, ...], rows: Rows) -> Tensor:
    """Return log r_k - log model, shape ``(n, k)``."""
    if not challengers:
        return torch.zeros(len(rows), 0, dtype=torch.float64)
    return torch.stack([c.ratio(rows) for c in challengers], dim=1)
