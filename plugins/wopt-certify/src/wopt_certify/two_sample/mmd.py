"""The kernel two-sample test, aggregated over bandwidths."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.seeds import generator
from wopt.typed import Typed
from wopt_certify.two_sample.nets import Units
from wopt_certify.two_sample.permutation import labels, permutation_p_value

__all__ = ["MMDTest", "mmd_test"]

_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths in multiples of the median distance."""
_PERMUTATIONS = 299


@dataclasses.dataclass(frozen=True)
class MMDTest(Typed):
    """The kernel test.

    Attributes:
        statistic: The largest of the standardised values over bandwidths.
        bandwidth: The bandwidth of that value, over the median distance of the pooled rows.
        p_value: p-value of the hypothesis "one law", by permutation.
        rows: Rows of each kind that were compared.
    """

    statistic: float
    bandwidth: float
    p_value: float
    rows: int


def mmd_test(rows: Tensor, samples: Tensor, *, seed: int = 0, most: int = 700) -> MMDTest:
    """Test whether rows and samples come from one law by the maximum mean discrepancy.

    For Gaussian kernels of a quarter to four times the median distance, in units of the pooled
    deviations, MMD^2 without the diagonal is computed for the true labels and for permuted ones,
    standardised over all of them, and the largest over bandwidths is the statistic. It is the
    same function of every labelling, so its p-value is exact.

    Args:
        rows: Shape ``(n, d)``.
        samples: Shape ``(m, d)``.
        seed: Seed of the subset and the permutations.
        most: Rows of each kind at most; time and memory are quadratic.

    Source: Gretton et al., A kernel two-sample test, 2012; aggregation as in Schrab et al., MMD
    aggregated two-sample test, 2023, and Biggs et al., MMD-FUSE, 2023.

    Example:
        >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> mmd_test(x[:100], x[100:] + 1).p_value < 0.01
        True
    """
    rng = generator(seed, "mmd")
    count = min(len(rows), len(samples), most)
    parts = [part[torch.randperm(len(part), generator=rng)[:count]] for part in (rows, samples)]
    pooled = torch.cat(parts)
    z = Units(pooled)(pooled)
    squared = torch.cdist(z, z).square()
    median = squared[torch.triu(torch.ones_like(squared), 1) > 0].median().clamp_min(1e-12)
    ways = labels(count, count, _PERMUTATIONS, rng)
    standardised = []
    for factor in _FACTORS:
        kernel = torch.exp(-squared / (2 * factor**2 * median))
        kernel.fill_diagonal_(0)
        values = (ways * (kernel @ ways)).sum(0)
        spread = values.std()
        standardised.append((values - values.mean()) / spread.clamp_min(1e-300))
    table = torch.stack(standardised)
    best = int(table[:, 0].argmax())
    p_value = permutation_p_value(table.amax(0))
    return MMDTest(float(table[best, 0]), _FACTORS[best], p_value, count)
