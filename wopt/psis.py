"""Pareto-smoothed importance sampling: weights, and k-hat, which says whether they hold."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

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


_SHORTEST_TAIL = 5
_CONSTANT = 1e-9
"""Log weights that differ by no more are equal: a Pareto law would be fitted to rounding."""


@dataclasses.dataclass(frozen=True)
class Smoothed:
    """Pareto-smoothed importance weights.

    Attributes:
        log_weights: Logarithms of the normalised weights, which sum to one; nats, shape ``(n,)``.
        k_hat: Shape of the tail of the raw weights: their moments above 1/k-hat are infinite.
            It is 0 where all weights are equal, and infinite where it cannot be estimated.
        threshold: Averages under the weights are not reliable for a larger k-hat at this sample
            size.
    """

    log_weights: Tensor
    k_hat: float
    threshold: float

    @property
    def k_hat_error(self) -> float:
        """The standard error of k-hat, (1 + k)/sqrt(M) for the M draws of the tail.

        Source: Smith, Estimating tails of probability distributions, Ann. Stat. 1987.
        """
        return _shape_error(self.k_hat, len(self.log_weights))

    @property
    def weights(self) -> Tensor:
        """The weights, shape ``(n,)``, which sum to one."""
        return self.log_weights.exp()


def k_hat_threshold(count: int) -> float:
    """Return min(1 - 1/log10 S, 0.7) for S draws.

    Source: Vehtari et al. 2024, section 3.2.4.
    """
    return min(1 - 1 / math.log10(count), 0.7) if count > 1 else -math.inf


def smoothed_importance_weights(log_weights: Tensor) -> Smoothed:
    """Return Pareto-smoothed importance weights.

    The largest weights, min(S/5, 3 sqrt S) of them, are replaced by the quantiles of the
    generalised Pareto law fitted to them, and no weight exceeds the largest raw one. That lowers
    the variance of weighted averages at the price of a bias; k-hat at or below the threshold says
    that both are small. A draw whose log weight is not finite (the target has no mass there, or the
    map overflowed) has weight zero.

    Args:
        log_weights: log of target over model at draws of the model, up to a constant, in nats,
            shape ``(n,)``.

    Source: Vehtari, Simpson, Gelman, Yao, Gabry, Pareto smoothed importance sampling, JMLR 2024.

    Example:
        >>> z = torch.randn(4000, generator=torch.Generator().manual_seed(0)).double()
        >>> smoothed = smoothed_importance_weights(-0.1 * z)
        >>> round(float(smoothed.weights.sum()), 9), smoothed.k_hat < smoothed.threshold
        (1.0, True)
    """
    n = len(log_weights)
    threshold = k_hat_threshold(n)
    x = log_weights.detach().double().cpu()
    x = torch.where(torch.isfinite(x), x, -math.inf)
    top = x.max() if n else torch.tensor(-math.inf)
    if not bool(torch.isfinite(top)):
        return Smoothed(torch.full_like(x, -math.inf), math.inf, threshold)
    x = x - top
    if float(x.min()) > -_CONSTANT:
        return Smoothed(torch.full_like(x, -math.log(n)), 0.0, threshold)
    smoothed, k_hat = _smooth(x)
    return Smoothed(smoothed - smoothed.logsumexp(0), k_hat, threshold)


def _tail_length(count: int) -> int:
    """Return the number of draws in the tail, rounded as in arviz-stats."""
    return math.floor(min(count / 5, 3 * math.sqrt(count)))


def _shape_error(k_hat: float, count: int) -> float:
    if k_hat <= 0 or not math.isfinite(k_hat):
        return 0.0
    return (1 + k_hat) / math.sqrt(max(_tail_length(count), 1))


def _smooth(x: Tensor) -> tuple[Tensor, float]:
    """Return log weights (largest 0) with their tail replaced, and k-hat."""
    length = _tail_length(len(x))
    values, order = x.sort()
    # Where weights underflow, the threshold must not be zero: the fit would see only one scale.
    least = math.log(torch.finfo(torch.float64).tiny)
    cutoff = max(float(values[max(len(x) - length - 1, 0)]), least)
    first = int(torch.searchsorted(values, torch.tensor(cutoff, dtype=values.dtype), right=True))
    tail = values[first:].exp() - math.exp(cutoff)
    if len(tail) < _SHORTEST_TAIL:
        return x, math.inf
    k_hat, scale = fit_pareto(tail)
    if not math.isfinite(k_hat):
        return x, k_hat
    levels = (torch.arange(len(tail), dtype=x.dtype) + 0.5) / len(tail)
    replaced = (pareto_quantiles(levels, k_hat, scale) + math.exp(cutoff)).log().clamp(max=0.0)
    smoothed = x.clone()
    smoothed[order[first:]] = replaced
    return smoothed, k_hat
