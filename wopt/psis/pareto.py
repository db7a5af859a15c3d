"""The generalised Pareto law: its quantiles, and its fit to excesses over a threshold."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["fit_pareto", "pareto_quantiles"]

_PRIOR_SHAPE, _PRIOR_ROWS = 0.5, 10
"""The weakly informative prior of Vehtari et al.: ten pseudo-excesses with shape 1/2."""
_PRIOR_SCALE = 3


def fit_pareto(excesses: Tensor) -> tuple[float, float]:
    """Return shape k and scale sigma of the generalised Pareto law fitted to excesses.

        P(X > x) = (1 + k x / sigma)^(-1/k).

    The quasi-Bayesian estimate of Zhang and Stephens: with b = -k/sigma the likelihood profiled
    over k is averaged over a grid of b; then k is shrunk towards 1/2 with the weight of ten
    values.

    Args:
        excesses: Positive values above the threshold, ascending, shape ``(m,)``, m >= 5.

    Returns:
        k, dimensionless and infinite where it cannot be estimated, and sigma, in the units of the
        excesses.

    Source: Zhang, Stephens, A new and efficient estimation method for the generalized Pareto
    distribution, 2009; Vehtari, Simpson, Gelman, Yao, Gabry, Pareto smoothed importance sampling,
    JMLR 2024, appendix C.

    Example:
        >>> u = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
        >>> k, sigma = fit_pareto(pareto_quantiles(u, 0.4, 2.0))
        >>> round(k, 1), round(sigma, 1)
        (0.4, 2.0)
    """
    x = excesses.double()
    n = len(x)
    grid = 30 + math.isqrt(n)
    quarter = float(x[int(n / 4 + 0.5) - 1])
    if not (quarter > 0 and math.isfinite(float(x[-1]))):
        return math.inf, math.nan
    index = torch.arange(1, grid + 1, dtype=torch.float64) - 0.5
    b = (1 - (grid / index).sqrt()) / (_PRIOR_SCALE * quarter) + 1 / float(x[-1])
    k = torch.log1p(-b[:, None] * x).mean(1)
    profile = n * ((-b / k).log() - k - 1)
    weights = profile.softmax(0)
    weights = torch.where(weights >= 10 * torch.finfo(torch.float64).eps, weights, 0.0)
    mean = float((b * weights).sum() / weights.sum())
    shape = float(torch.log1p(-mean * x).mean())
    scale = -shape / mean
    if not math.isfinite(shape):
        return math.inf, math.nan
    return (n * shape + _PRIOR_ROWS * _PRIOR_SHAPE) / (n + _PRIOR_ROWS), scale


def pareto_quantiles(levels: Tensor, k: float, sigma: float) -> Tensor:
    """Return the quantiles  sigma ((1 - u)^-k - 1)/k  at levels u in [0, 1), in the same shape.

    Example:
        >>> pareto_quantiles(torch.tensor([0.5]).double(), 1.0, 3.0).tolist()
        [3.0]
    """
    tail = torch.log1p(-levels)
    if abs(k) < 1e-12:
        return -sigma * tail
    return sigma * torch.expm1(-k * tail) / k
