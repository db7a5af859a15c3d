"""A mixture of Gaussians fitted to points by expectation and maximisation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

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


class Gaussians(NamedTuple):
    """sum_k w_k N(m_k, L_k L_k^T).

    Attributes:
        weights: w_k, shape ``(k,)``.
        means: m_k, shape ``(k, d)``.
        factors: L_k, lower triangular, shape ``(k, d, d)``.

    Example:
        >>> law = Gaussians(torch.ones(1), torch.zeros(1, 2), 2 * torch.eye(2)[None])
        >>> round(float(law.log_prob(torch.zeros(1, 2))), 4)  # -log 8 pi
        -3.2242
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density in nats at points ``(n, d)``, shape ``(n,)``."""
        return torch.cat([self.joint(part).logsumexp(1) for part in x.split(_POINTS)])

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return draws, shape ``(n, d)``."""
        at = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        z = torch.randn(n, self.means.shape[1], 1, generator=rng, dtype=self.means.dtype)
        return self.means[at] + (self.factors[at] @ z)[:, :, 0]

    def joint(self, x: Tensor) -> Tensor:
        """Return log w_k N(x; m_k, L_k L_k^T) in nats at points ``(n, d)``, shape ``(n, k)``."""
        d, eye = x.shape[1], torch.eye(x.shape[1]).to(x)
        whitening = torch.linalg.solve_triangular(self.factors, eye, upper=False)
        z = (x - self.means[:, None]) @ whitening.mT
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = self.weights.log() - log_det - d / 2 * math.log(2 * math.pi)
        return (-z.square().sum(2) / 2).T + constant


def fitted_mixture(x: Tensor, components: int) -> Gaussians:
    """Return a mixture of so many Gaussians.

    EM begins at points each of which is the farthest from those before, so that modes far apart
    have one each, with the covariance of their neighbours.

    Args:
        x: Points, shape ``(n, d)``, float64.

    Source: Dempster, Laird, Rubin, *Maximum likelihood from incomplete data via the EM algorithm*,
    1977; Gonzalez, *Clustering to minimize the maximum intercluster distance*, 1985.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> x = torch.cat([0.1 * z[:500] - 1, 0.2 * z[500:] + 1])
        >>> sorted(round(w, 2) for w in fitted_mixture(x, 2).weights.tolist())
        [0.25, 0.75]
    """
    return _fitted(x, _far_apart(x, components), _rounded)


_VALUES, _ENOUGH = 100_000, 1e-3
"""Rows times columns to which :func:`chosen_mixture` fits, and the gain in nats of an
iteration after which its EM ends."""

_PART, _KEPT, _POINTS = 2**21, 64, 8192
"""Products of two columns in a part, parts that are kept, and points that are judged at a time."""

FOLDS, _JUDGES, _FACTOR = 5, 400, 4.0
"""Folds of a cross-validation; points that suffice to judge; ratio of the strengths tried."""


def chosen_mixture(x: Tensor, most: int) -> Gaussians:
    """Return the mixture that held-out points choose.

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
            fit = shrunk_mixture(rest, counts[k], spread * _FACTOR**power)
            found.append(_defended(fit, rest).log_prob(judges))
        return float(torch.cat(found).mean()) if found else 0.0

    k, power = _climbed(value)
    parts = [_cut(x, fold)[0] for fold in range(FOLDS)] if enough else [x]
    fits = [shrunk_mixture(part, counts[k], spread * _FACTOR**power) for part in parts]
    return _defended(_joined(fits, x), x)


def _joined(fits: list[Gaussians], x: Tensor) -> Gaussians:
    """Return the mixture of mixtures whose weights are the likeliest for points x, by EM."""
    weights, means, factors = (torch.cat(values) for values in zip(*fits, strict=True))
    shares = mixing_weights(torch.stack([fit.log_prob(x) for fit in fits], 1))
    return Gaussians(weights * shares.repeat_interleave(len(fits[0].weights)), means, factors)


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


def shrunk_mixture(
    x: Tensor, components: int, strength: float, least: float = _ENOUGH
) -> Gaussians:
    """Return a mixture of so many Gaussians whose covariances are shrunk to that of all points.

    A component of n_k points with covariance C_k has (n_k C_k + a S) / (n_k + a), S being that of
    all. EM begins at points drawn with chances that grow with the squared distance from those
    before.

    Args:
        x: Points, shape ``(n, d)``, float64.
        strength: a, a number of points.
        least: Gain of an iteration in nats, the mean over points, below which EM ends.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> round(float(shrunk_mixture(3 * z, 1, 2.0).factors[0, 0, 0]))
        3
    """
    d = x.shape[1]
    whole = torch.cov(x.T, correction=0).reshape(d, d)
    floor = 1e-9 * whole.diagonal().mean() + 1e-12

    def toward(counts: Tensor, covariances: Tensor) -> Tensor:
        """Return covariances, shape ``(m, d, d)``, nearer to that of x, by counts ``(m,)``."""
        near = (counts / (counts + strength))[:, None, None]
        return near * covariances + (1 - near) * whole + floor * torch.eye(d).to(x)

    if components == 1:
        whole = toward(torch.tensor([len(x)]), whole[None])
        return Gaussians(x.new_ones(1), x.mean(0, keepdim=True), torch.linalg.cholesky(whole))
    return _fitted(x, _spread(x, components), toward, least)


def _defended(mixture: Gaussians, x: Tensor) -> Gaussians:
    """Return a mixture and, after it, the round components of ``BROAD``, with 1/(n + 1) in all."""
    (weights, means, factors), n, few = mixture, len(x), len(BROAD)
    widths = (x.std(0, correction=0).mean() + 1e-12) * x.new_tensor(BROAD)
    shares = widths**-2 / (widths**-2).sum()  # tails of Student's law, two degrees of freedom
    round_ones = widths[:, None].expand(few, x.shape[1]).diag_embed()
    return Gaussians(
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


def _fitted(x: Tensor, centres: Tensor, shrink: Shrink, least: float = _LEAST) -> Gaussians:
    """Return the mixture that EM reaches from centres ``(k, d)``."""
    lower = torch.tril_indices(x.shape[1], x.shape[1])
    parts = x.split(max(1, _PART // lower.shape[1]))

    @functools.lru_cache(_KEPT)
    def powers(k: int) -> Tensor:
        """Return 1, x_i and x_i x_j of a part: their weighted sums are all that EM needs."""
        part = parts[k]
        return torch.cat(
            [torch.ones_like(part[:, :1]), part, part[:, lower[0]] * part[:, lower[1]]], 1
        )

    rounding = x.square().max() * 64 * torch.finfo(x.dtype).eps
    nearest = torch.cdist(x, centres).argmin(1)
    posterior = torch.nn.functional.one_hot(nearest, len(centres)).to(x)
    before = -math.inf
    shares = posterior.split(len(parts[0]))
    sums = sum(p.T @ powers(k) for k, p in enumerate(shares))
    for _ in range(_ITERATIONS):
        made = _maximised(sums, shrink, rounding)
        rates, total, sums = _coefficients(made), 0.0, torch.zeros_like(sums)
        for part in map(powers, range(len(parts))):
            joint = part @ rates.T
            density = joint.logsumexp(1, keepdim=True)
            sums += (joint - density).exp().T @ part
            total += float(density.sum())
        if total / len(x) < before + least:
            break
        before = total / len(x)
    return made


def _far_apart(x: Tensor, count: int) -> Tensor:
    chosen = [int((x - x.mean(0)).square().sum(1).argmin())]
    away = (x - x[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def _maximised(sums: Tensor, shrink: Shrink, rounding: Tensor) -> Gaussians:
    """Return the likeliest mixture by sums of 1, x_i and x_i x_j (i >= j), ``(k, 1 + d + ...)``."""
    count = sums[:, 0] + 1e-3
    d = math.isqrt(2 * sums.shape[1]) - 1
    means, squares = (sums / count[:, None])[:, 1:].tensor_split([d], 1)
    covariances = means.new_zeros(len(means), d, d)
    covariances[:, *torch.tril_indices(d, d)] = squares
    covariances += covariances.tril(-1).mT
    twice = (2 - sums[:, 0] / count)[:, None, None]
    covariances -= twice * means[:, :, None] * means[:, None] - rounding * torch.eye(d).to(means)
    factors = torch.linalg.cholesky(shrink(count, covariances))
    return Gaussians(count / count.sum(), means, factors)


def _coefficients(law: Gaussians) -> Tensor:
    """Return what 1, x_i and x_i x_j are multiplied by in log w_k N(x; m_k, C_k)."""
    weights, means, factors = law
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
