"""Samples of a target, held fixed between calls of ``resample``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import wopt

__all__ = ["Draws", "SampledTarget", "Samples"]

SampledTarget = Annotated[
    wopt.Target, Field(description="the measure to approach, known by samples")
]
Samples = Annotated[
    int,
    Field(ge=2, description="samples of the target in use; drawn anew at every iteration"),
]


class Draws:
    """Samples that are a function of one seed: 0 at first, then one drawn by :meth:`resample`."""

    def __init__(self, target: wopt.Target, samples: int) -> None:
        self.target = target
        self.samples = samples
        self.seed = 0
        self._held: dict[tuple[str, int, torch.device], Tensor] = {}

    def resample(self, generator: torch.Generator) -> None:
        """Draw a new seed."""
        high = 2**62
        self.seed = int(torch.randint(high, (), generator=generator, device=generator.device))
        self._held.clear()

    def points(self, like: Tensor) -> Tensor:
        """Return the samples, shape ``(m, d)``, float64, on the device of ``like``."""
        return self.remember("points", like, lambda: self._draw(like, self.samples, self.seed))

    def first(self, like: Tensor) -> Tensor:
        """Return at most 1000 samples of a fixed seed, for what is decided once."""
        return self._draw(like, min(self.samples, 1000), 0)

    def remember(self, name: str, like: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """Return what ``make`` returned first since the last resampling."""
        key = (name, like.shape[1], like.device)
        if key not in self._held:
            self._held[key] = make()
        return self._held[key]

    def _draw(self, like: Tensor, n: int, seed: int) -> Tensor:
        generator = torch.Generator(device=like.device).manual_seed(seed)
        return self.target.sample(n, like.shape[1], generator).detach().to(like.device).double()
