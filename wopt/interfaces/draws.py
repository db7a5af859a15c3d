"""Samples of a target that an objective holds fixed between calls of ``resample``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wopt.interfaces.target import Target

__all__ = ["Draws"]


class Draws:
    """Random numbers of an objective that change only when it is resampled.

    All draws are a function of one seed, 0 at first and then drawn by :meth:`resample`, so that
    energies are deterministic between calls.

    Args:
        target: The target to sample.
        samples: Number m of samples.
        dtype: Dtype of the samples; that of the particles by default.

    Example:
        >>> import wopt
        >>> draws = Draws(wopt.build("target", "gaussian"), 5)
        >>> x = torch.zeros(1, 2)
        >>> bool((draws.points(x) == draws.points(x)).all()), draws.points(x).shape
        (True, torch.Size([5, 2]))
    """

    def __init__(self, target: Target, samples: int, dtype: torch.dtype | None = None) -> None:
        self.target = target
        self.samples = samples
        self.dtype = dtype
        self.seed = 0
        self._kept: dict[tuple[str, int, torch.dtype, torch.device], Tensor] = {}

    def resample(self, rng: torch.Generator) -> None:
        """Draw a new seed."""
        high = 2**62
        self.seed = int(torch.randint(high, (), generator=rng, device=rng.device))
        self._kept.clear()

    def generator(self, like: Tensor, offset: int = 0) -> torch.Generator:
        """Return a generator in the current state, on the device of ``like`` (of any shape)."""
        return torch.Generator(device=like.device).manual_seed(self.seed + offset)

    def points(self, like: Tensor) -> Tensor:
        """Return the samples, shape ``(m, d)``, on the device of ``like``."""
        return self.remember("points", like, lambda: self._draw(like, self.generator(like)))

    def first(self, like: Tensor) -> Tensor:
        """Return at most 1000 samples of a fixed seed, shape ``(m, d)``."""
        rng = torch.Generator(device=like.device).manual_seed(0)
        x = self.target.sample(min(self.samples, 1000), like.shape[1], rng).detach()
        return x if self.dtype is None else x.to(like.device, self.dtype)

    def remember(self, name: str, like: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """Return the first result of ``make``, of any shape, since the last resampling.

        Results are kept by name and by the dimension, dtype and device of ``like``.
        """
        key = (name, like.shape[1], like.dtype, like.device)
        if key not in self._kept:
            self._kept[key] = make().detach()
        return self._kept[key]

    def _draw(self, like: Tensor, rng: torch.Generator) -> Tensor:
        x = self.target.sample(self.samples, like.shape[1], rng).detach()
        return x.to(like) if self.dtype is None else x.to(like.device, self.dtype)
