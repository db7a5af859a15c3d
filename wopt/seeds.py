"""Seeds: every draw has a seed derived from the run's seed and its own key."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

import numpy as np
import torch


def derive(seed: int, *key: str | int) -> int:
    """Return the seed of the draws under one key, independent of what was drawn before.

    A resumed run therefore draws the same numbers as an unbroken one, without saved generators.

    Example:
        >>> derive(0, "step", 1) == derive(0, "step", 1) != derive(0, "step", 2)
        True
    """
    words = [zlib.crc32(p.encode()) if isinstance(p, str) else p for p in key]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, *key: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator for the draws under one key, see :func:`derive`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *key))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator inside, for modules that draw from it; restore it after."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
