"""What all laws have: a density and samples."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Law"]


class Law(Protocol):
    """A law on R^d of known density, with exact samples. Classes say more where more is known."""

    @property
    def dim(self) -> int | None:
        """The dimension d; ``None`` for any dimension."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, in x's dtype and on its device."""
        ...

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device.

        Raises:
            DataError: The law has another dimension.
        """
        ...
