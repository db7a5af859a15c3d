"""P-values by permutation: exact at every sample size, for any statistic."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["labels", "permutation_p_value"]


def labels(first: int, second: int, count: int, rng: torch.Generator) -> Tensor:
    """Return ways to label pooled rows, shape ``(first + second, count + 1)``, float64.

    A column is 1/first on rows labelled as the first sample and -1/second on the others, so that a
    difference of means is a product with it. Column 0 holds the true labels, the first sample
    first.

    Example:
        >>> labels(2, 2, 3, torch.Generator().manual_seed(0))[:, 0].tolist()
        [0.5, 0.5, -0.5, -0.5]
    """
    truth = torch.cat(
        [
            torch.full((first,), 1 / first, dtype=torch.float64),
            torch.full((second,), -1 / second, dtype=torch.float64),
        ]
    )
    shuffled = [truth[torch.randperm(len(truth), generator=rng)] for _ in range(count)]
    return torch.stack([truth, *shuffled], dim=1)


def permutation_p_value(statistics: Tensor) -> float:
    """Return the fraction of statistics at least as large as the first, that of the true labels.

    It is valid because under the null all labellings are equally likely: P(p <= a) <= a.

    Args:
        statistics: Values for the true labels and for permuted ones, shape ``(count + 1,)``.

    Source: Phipson, Smyth, Permutation p-values should never be zero, 2010.

    Example:
        >>> permutation_p_value(torch.tensor([3.0, 1.0, 2.0, 4.0]))
        0.5
    """
    return float((statistics >= statistics[0]).double().mean())
