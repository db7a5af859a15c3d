"""Samples of a target, held fixed between calls of ``resample``."""

from __future__ import annotations

import torch
from torch import Tensor

import wopt

__all__ = ["Draws"]


class Draws:
    """Random numbers of an objective that change only when it is resampled.

    Everything drawn is a function of one seed: a fixed one at first, then one drawn by
    :meth:`resample`. So energies are deterministic between calls.
    """

    def __init__(self, target: wopt.Target, samples: int) -> None:
        self.target = target
        self.samples = samples
        self.seed = 0
        self._held: dict[tuple[str, int, torch.dtype, torch.device], Tensor] = {}

    def resample(self, generator: torch.Generator) -> None:
        """Draw a new seed."""
        high = 2**62
        self.seed = int(torch.randint(high, (), generator=generator, device=generator.device))
        self._held.clear()

    def generator(self, like: Tensor, offset: int = 0) -> torch.Generator:
        """Return a generator in the current state, on the device of ``like``."""
        return torch.Generator(device=like.device).manual_seed(self.seed + offset)

    def points(self, like: Tensor) -> Tensor:
        """Return the samples, shape ``(m, d)``, of the dtype and on the device of ``like``."""
        key = ("points", like.shape[1], like.dtype, like.device)
        if key not in self._held:
            x = self.target.sample(self.samples, like.shape[1], self.generator(like))
            self._held[key] = x.detach().to(like)
        return self._held[key]

    def first(self, like: Tensor) -> Tensor:
        """Return at most 1000 samples of a fixed seed, for what is decided once."""
        draw = torch.Generator(device=like.device).manual_seed(0)
        return self.target.sample(min(self.samples, 1000), like.shape[1], draw).detach()

    def remember(self, name: str, like: Tensor) -> Tensor | None:
        """Return what was kept under a name for such points since the last resampling."""
        return self._held.get((name, like.shape[1], like.dtype, like.device))

    def keep(self, name: str, like: Tensor, value: Tensor) -> Tensor:
        """Keep a value until the next resampling, and return it."""
        self._held[name, like.shape[1], like.dtype, like.device] = value.detach()
        return value.detach()
