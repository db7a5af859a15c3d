"""Samples of a law that is known by rows only."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.data.dataset import Dataset

__all__ = ["held_out_rows"]


def held_out_rows(dataset: Dataset, n: int, rng: torch.Generator) -> Tensor:
    """Return ``n`` rows of the test and validation splits, shape ``(n, d)``.

    They are drawn without replacement if there are enough rows, and otherwise with replacement
    (a bootstrap).

    Args:
        dataset: The data.
        n: Number of rows.
        rng: Random numbers.
    """
    rows = torch.cat([dataset.test, dataset.valid])
    if n <= len(rows):
        return rows[torch.randperm(len(rows), generator=rng)[:n]]
    return rows[torch.randint(len(rows), (n,), generator=rng)]
