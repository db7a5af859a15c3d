"""A mixture of Gaussians fitted to points by expectation and maximisation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.statistics import mixing_weights

BROAD = (1e1, 1e2, 1e3)
"""Deviations of the defensive components, in those of the points."""

_ITERATIONS, _RIDGE = 100, 1e-3
"""Iterations of EM; addition to a covariance, as a fraction of a component's mean variance."""
_LEAST = 1e-9

Shrink = Callable[[Tensor, Tensor], Tensor]
"""Function of the components' numbers of points ``(k,)`` and covariances ``(k, d, d)``."""


def fitted_mixture(x: Tensor, components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights ``(k,)``, means ``(k, d)`` and lower factors ``(k, d, d)`` of covariances.

    EM begins at points each of which is the farthest from those before, so that modes far apart
    have one each, with the covariance of their neighbours.

    Args:
        x: Points, shape ``(n, d)``, float64.

    Source: Dempster, Laird, Rubin, *Maximum likelihood from incomplete data via the EM algorithm*,
    1977; Gonzalez, *Clustering to minimize the maximum intercluster distance*, 1985.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> x = torch.cat([0.1 * z[:500] - 1, 0.2 * z[500:] + 1])
        >>> weights, means, factors = fitted_mixture(x, 2)
        >>> sorted(round(w, 2) for w in weights.tolist())
        [0.25, 0.75]
    """
    return _fitted(x, _far_apart(x, components), _rounded)


_VALUES, _ENOUGH = 100_000, 1e-3
"""Rows times columns to which :func:`chosen_mixture` fits, and the gain in nats of an
iteration after which its EM ends."""

_PART = 2**21
"""Products of two columns that are computed at a time."""

FOLDS, _JUDGES, _FACTOR = 5, 400, 4.0
"""Folds of a cross-validation; points that suffice to judge; ratio of the strengths tried."""


def chosen_mixture(x: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mixture that held-out points choose, as :func:`fitted_mixture`.

    A component of n_k points with covariance C_k has (n_k C_k + a S) / (n_k + a), with S the
    covariance of all points: a points are added to it that are as spread out as all.
    Cross-validation chooses the number of components and a, in turn until both stay. The result is
    a mixture of the mixtures that are fitted to the points outside of each fold, with the likeliest
    weights: EM ends at another maximum for other points, and the mean of several is nearer to the
    law than one.

    The last three Gaussians are round, 10, 100 and 1,000 times as wide as the points, with weights
    as the squares of these widths fall, 1/(n + 1) in all: the tails of Student's law with two
    degrees of freedom. What is far from all points costs tens of nats (a defensive mixture).

    EM begins at points drawn with chances that grow with the squared distance from those before,
    so that a point far out need not have a Gaussian of its own.

    Args:
        x: Points in random order, shape ``(n, d)``, float64.
        most: Largest number of Gaussians of a fold, without the last three.

    Source: Fraley, Raftery, *Bayesian regularization for normal mixture estimation and model-based
    clustering*, 2007; Arthur, Vassilvitskii, *k-means++: the advantages of careful seeding*, 2007;
    Breiman, *Bagging predictors*, 1996.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> weights, means, _ = chosen_mixture(torch.stack([z, z + 9], 1).flatten(0, 1), 8)
        >>> round(float(weights[means[:, 0] > 4.5].sum()), 3)
        0.5
    """
    x = x[: max(2000, _VALUES // x.shape[1])]
    few = x[: FOLDS * _JUDGES]
    enough = math.ceil(FOLDS * min(1.0, _JUDGES / len(few))) if len(few) > FOLDS else 0
    counts, spread = tuple(_counts(min(most, max(1, len(few) // 2)))), float(x.shape[1])

    @functools.cache
    def value(k: int, power: int) -> float:
        if not 0 <= k < len(counts):
            return -math.inf
        found = []
        for fold in range(enough):
            rest, judges = _cut(few, fold)
            fit = _shrunk(rest, counts[k], spread * _FACTOR**power)
            weights, means, factors = _defended(fit, rest)
            found.append((weights.log() + _log_normal(judges, means, factors)).logsumexp(1))
        return float(torch.cat(found).mean()) if found else 0.0

    k, power = _climbed(value)
    parts = [_cut(x, fold)[0] for fold in range(FOLDS)] if enough else [x]
    fits = [_shrunk(part, counts[k], spread * _FACTOR**power) for part in parts]
    return _defended(_joined(fits, x), x)


def _joined(fits: list[tuple[Tensor, Tensor, Tensor]], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mixture of mixtures whose weights are the likeliest for points x, by EM."""
    weights, means, factors = (torch.cat(values) for values in zip(*fits, strict=True))
    each = [(w.log() + _log_normal(x, m, f)).logsumexp(1) for w, m, f in fits]
    shares = mixing_weights(torch.stack(each, 1))
    return weights * shares.repeat_interleave(len(fits[0][0])), means, factors


def _cut(x: Tensor, fold: int) -> tuple[Tensor, Tensor]:
    """Return the points outside and inside of a fold, shapes ``(m, d)`` and ``(n - m, d)``."""
    inside = torch.arange(len(x)) % FOLDS == fold
    return x[~inside], x[inside]


def _counts(most: int) -> Iterator[int]:
    """Yield 1, 2, 3, 4, 6, 8, 12, ..., at most so many."""
    yield 1
    count = 2
    while count <= most:
        yield count
        count = count * 3 // 2 if count & (count - 1) == 0 else count * 4 // 3


def _climbed(value: Callable[[int, int], float]) -> tuple[int, int]:
    """Return where a value on a grid is largest, by both coordinates in turn from the origin."""
    best, before = (0, 0), None
    while best != before:
        before = best
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            at, dips = best, 0
            while dips < 2:  # one dip is passed
                at = at[0] + step[0], at[1] + step[1]
                better = value(*at) > value(*best) + _ENOUGH
                best, dips = (at, 0) if better else (best, dips + 1)
    return best


def _shrunk(x: Tensor, count: int, strength: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return so many components, with covariances shrunk to that of x."""
    d = x.shape[1]
    whole = torch.cov(x.T, correction=0).reshape(d, d)
    floor = 1e-9 * whole.diagonal().mean() + 1e-12

    def toward(counts: Tensor, covariances: Tensor) -> Tensor:
        """Return covariances, shape ``(m, d, d)``, nearer to that of x, by counts ``(m,)``."""
        near = (counts / (counts + strength))[:, None, None]
        return near * covariances + (1 - near) * whole + floor * torch.eye(d).to(x)

    return _fitted(x, _spread(x, count), toward, _ENOUGH)


def _defended(mixture: tuple[Tensor, Tensor, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a mixture and, after it, the round components of ``BROAD``, with 1/(n + 1) in all."""
    (weights, means, factors), n, few = mixture, len(x), len(BROAD)
    widths = (x.std(0, correction=0).mean() + 1e-12) * x.new_tensor(BROAD)
    shares = widths**-2 / (widths**-2).sum()  # tails of Student's law, two degrees of freedom
    round_ones = widths[:, None].expand(few, x.shape[1]).diag_embed()
    return (
        torch.cat([weights * (1 - 1 / (n + 1)), shares / (n + 1)]),
        torch.cat([means, x.mean(0).expand(few, -1)]),
        torch.cat([factors, round_ones]),
    )


def _spread(x: Tensor, count: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    chosen = x[:1]
    while len(chosen) < count:
        away = torch.cdist(x, chosen).square().amin(1)
        drawn = torch.multinomial(away + 1e-30, 1, generator=rng)
        chosen = torch.cat([chosen, x[drawn]])
    return chosen


def _fitted(
    x: Tensor, centres: Tensor, shrink: Shrink, least: float = _LEAST
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mixture that EM reaches from centres ``(k, d)``."""
    lower = torch.tril_indices(x.shape[1], x.shape[1])
    # 1, x_i and x_i x_j: sums of these, weighted by posteriors, are all that EM needs of points.
    powers = [
        torch.cat([part.new_ones(len(part), 1), part, part[:, lower[0]] * part[:, lower[1]]], 1)
        for part in x.split(max(1, _PART // lower.shape[1]))
    ]
    rounding = x.square().max() * 64 * torch.finfo(x.dtype).eps
    nearest = torch.cdist(x, centres).argmin(1)
    posterior = torch.nn.functional.one_hot(nearest, len(centres)).to(x)
    before = -math.inf
    sums = sum(p.T @ part for p, part in zip(posterior.split(len(powers[0])), powers, strict=True))
    for _ in range(_ITERATIONS):
        weights, means, factors = _maximised(sums, shrink, rounding)
        rates, total, sums = _coefficients(weights, means, factors), 0.0, torch.zeros_like(sums)
        for part in powers:
            joint = part @ rates.T
            density = joint.logsumexp(1, keepdim=True)
            sums += (joint - density).exp().T @ part
            total += float(density.sum())
        if total / len(x) < before + least:
            break
        before = total / len(x)
    return weights, means, factors


def _far_apart(x: Tensor, count: int) -> Tensor:
    chosen = [int((x - x.mean(0)).square().sum(1).argmin())]
    away = (x - x[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def _maximised(sums: Tensor, shrink: Shrink, rounding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the likeliest mixture by sums of 1, x_i and x_i x_j (i >= j), ``(k, 1 + d + ...)``."""
    count = sums[:, 0] + 1e-3
    d = math.isqrt(2 * sums.shape[1]) - 1
    means, squares = (sums / count[:, None])[:, 1:].tensor_split([d], 1)
    covariances = means.new_zeros(len(means), d, d)
    covariances[:, *torch.tril_indices(d, d)] = squares
    covariances += covariances.tril(-1).mT
    twice = (2 - sums[:, 0] / count)[:, None, None]
    covariances -= twice * means[:, :, None] * means[:, None] - rounding * torch.eye(d).to(means)
    return count / count.sum(), means, torch.linalg.cholesky(shrink(count, covariances))


def _coefficients(weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return what 1, x_i and x_i x_j are multiplied by in log w_k N(x; m_k, C_k)."""
    d = means.shape[1]
    lower = torch.tril_indices(d, d)
    precisions = torch.cholesky_inverse(factors)
    slopes = (precisions @ means[:, :, None])[:, :, 0]
    log_det = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = weights.log() - log_det - (means * slopes).sum(1) / 2 - d / 2 * math.log(2 * math.pi)
    squares = (precisions + precisions.tril(-1))[:, *lower] / -2
    return torch.cat([constant[:, None], slopes, squares], 1)


def _rounded(count: Tensor, covariances: Tensor) -> Tensor:
    """Return covariances that are nearly round where points are few: d more points, all round."""
    d = covariances.shape[-1]
    mean_variance = covariances.diagonal(dim1=1, dim2=2).mean(1)
    ridge = _RIDGE * mean_variance + 1e-6 * float(mean_variance.max()) + 1e-12
    fraction = (count / (count + d))[:, None, None]
    eye = torch.eye(d).to(covariances)
    round_ones = mean_variance[:, None, None] * eye
    return fraction * covariances + (1 - fraction) * round_ones + ridge[:, None, None] * eye


def _log_normal(x: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return the log-densities of the components, shape ``(n, k)``, in nats."""
    eye = torch.eye(x.shape[1]).to(x)
    whitening = torch.linalg.solve_triangular(factors, eye, upper=False)
    z = (x - means[:, None]) @ whitening.mT
    log_det = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    d = x.shape[1]
    return (-z.square().sum(2) / 2).T - log_det - d / 2 * math.log(2 * math.pi)
