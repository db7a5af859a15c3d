"""Rows that stand for a law known by samples only: drawn again, they are its samples."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.data.dataset import Dataset

__all__ = ["held_out_rows"]


def held_out_rows(dataset: Dataset, n: int, generator: torch.Generator) -> Tensor:
    """Return ``n`` rows that nothing was trained on, those of the test and validation splits.

    In random order, each once while there are enough of them; more are drawn with replacement
    (a bootstrap), so that samples then come several times.

    Args:
        dataset: The data.
        n: How many.
        generator: Draws them.
    """
    rows = torch.cat([dataset.test, dataset.valid])
    if n <= len(rows):
        return rows[torch.randperm(len(rows), generator=generator)[:n]]
    return rows[torch.randint(len(rows), (n,), generator=generator)]
