"""A mixture of Gaussians fitted to points by expectation and maximisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["chosen_mixture", "fitted_mixture"]

_ITERATIONS, _RIDGE = 100, 1e-3
"""Iterations of EM; addition to a covariance, as a fraction of a component's mean variance."""
_LEAST = 1e-9


def fitted_mixture(x: Tensor, components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights ``(k,)``, means ``(k, d)`` and lower factors ``(k, d, d)`` of covariances.

    EM begins at points each of which is the farthest from those before, so that modes far apart
    have one each, with the covariance of their neighbours.

    Args:
        x: Points, shape ``(n, d)``, float64.
        components: Number k of Gaussians.

    Source: Dempster, Laird, Rubin, *Maximum likelihood from incomplete data via the EM algorithm*,
    1977; Gonzalez, *Clustering to minimize the maximum intercluster distance*, 1985.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> x = torch.cat([0.1 * z[:500] - 1, 0.2 * z[500:] + 1])
        >>> weights, means, factors = fitted_mixture(x, 2)
        >>> sorted(round(w, 2) for w in weights.tolist())
        [0.25, 0.75]
    """
    return _fitted(x, _far_apart(x, components))[0]


_VALUES, _ENOUGH = 300_000, 1e-4
"""Rows times squared columns to which :func:`chosen_mixture` fits, and the gain in nats of an
iteration after which EM ends there."""


def chosen_mixture(x: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mixture of 1, 2, 4, ... Gaussians that minimises BIC, as :func:`fitted_mixture`.

    EM begins at points drawn with chances that grow with the squared distance from those before,
    so that a point far out need not have a Gaussian of its own.

    Args:
        x: Points in random order, shape ``(n, d)``, float64.
        most: Largest number of Gaussians.

    Source: Schwarz, *Estimating the dimension of a model*, 1978; Arthur, Vassilvitskii,
    *k-means++: the advantages of careful seeding*, 2007.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> len(chosen_mixture(z, 8)[0]), len(chosen_mixture(torch.cat([z, z + 9]), 8)[0])
        (1, 2)
    """
    x = x[: max(2000, _VALUES // x.shape[1] ** 2)]
    n, d = x.shape
    found: list[tuple[float, tuple[Tensor, Tensor, Tensor]]] = []
    count = 1
    while count <= min(most, max(1, n // (d + 1))):
        mixture, value = _fitted(x, _spread(x, count), _ENOUGH)
        criterion = count * (d + 1) * (d + 2) / 2 * math.log(n) - 2 * n * value
        found.append((criterion, mixture))
        if count > 2 and criterion > found[-2][0]:
            break
        count *= 2
    return min(found, key=lambda pair: pair[0])[1]


def _spread(x: Tensor, count: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    chosen = x[:1]
    while len(chosen) < count:
        away = torch.cdist(x, chosen).square().amin(1)
        drawn = torch.multinomial(away + 1e-30, 1, generator=rng)
        chosen = torch.cat([chosen, x[drawn]])
    return chosen


def _fitted(
    x: Tensor, centres: Tensor, least: float = _LEAST
) -> tuple[tuple[Tensor, Tensor, Tensor], float]:
    """Return the mixture that EM reaches from centres ``(k, d)``, and its mean log-density."""
    components = len(centres)
    owner = torch.cdist(x, centres).argmin(1)
    posterior = torch.nn.functional.one_hot(owner, components).to(x)
    before = -math.inf
    for _ in range(_ITERATIONS):
        weights, means, factors = _maximised(x, posterior)
        joint = weights.log() + _log_normal(x, means, factors)
        posterior = joint.softmax(1)
        now = float(joint.logsumexp(1).mean())
        if now < before + least:
            break
        before = now
    return (weights, means, factors), now


def _far_apart(x: Tensor, count: int) -> Tensor:
    chosen = [int((x - x.mean(0)).square().sum(1).argmin())]
    away = (x - x[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def _maximised(x: Tensor, posterior: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    d = x.shape[1]
    count = posterior.sum(0) + 1e-3
    means = posterior.T @ x / count[:, None]
    away = x - means[:, None]
    covariances = (away * posterior.T[:, :, None]).mT @ away / count[:, None, None]
    mean_variance = covariances.diagonal(dim1=1, dim2=2).mean(1)
    ridge = _RIDGE * mean_variance + 1e-6 * float(mean_variance.max()) + 1e-12
    # A component of few points is nearly round: as many pseudo-observations as dimensions.
    fraction = (count / (count + d))[:, None, None]
    eye = torch.eye(d).to(x)
    round_ones = mean_variance[:, None, None] * eye
    covariances = fraction * covariances + (1 - fraction) * round_ones + ridge[:, None, None] * eye
    return count / count.sum(), means, torch.linalg.cholesky(covariances)


def _log_normal(x: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return the log-densities of the components, shape ``(n, k)``, in nats."""
    eye = torch.eye(x.shape[1]).to(x)
    whitening = torch.linalg.solve_triangular(factors, eye, upper=False)
    z = (x - means[:, None]) @ whitening.mT
    log_det = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    d = x.shape[1]
    return (-z.square().sum(2) / 2).T - log_det - d / 2 * math.log(2 * math.pi)
