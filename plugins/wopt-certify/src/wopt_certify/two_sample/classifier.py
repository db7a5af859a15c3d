"""The classifier two-sample test, its classifiers, and the regions that they are surest of."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from wopt.seeds import derive, generator, seeded
from wopt.statistics import mean_and_error
from wopt.typed import Typed


def labels(first: int, second: int, count: int, rng: torch.Generator) -> Tensor:
    """Return ways to label pooled rows, shape ``(first + second, count + 1)``, float64.

    A column is 1/first on rows labelled as the first sample and -1/second on the others, so that a
    difference of means is a product with it. Column 0 holds the true labels.

    Example:
        >>> labels(2, 2, 3, torch.Generator().manual_seed(0))[:, 0].tolist()
        [0.5, 0.5, -0.5, -0.5]
    """
    truth = torch.tensor([1 / first] * first + [-1 / second] * second, dtype=torch.float64)
    shuffled = [truth[torch.randperm(len(truth), generator=rng)] for _ in range(count)]
    return torch.stack([truth, *shuffled], dim=1)


def permutation_p_value(statistics: Tensor) -> float:
    """Return the fraction of statistics at least as large as the first, that of the true labels.

    All labellings are equally likely under the null, so P(p <= a) <= a.

    Source: Phipson, Smyth, Permutation p-values should never be zero, 2010.

    Example:
        >>> permutation_p_value(torch.tensor([3.0, 1.0, 2.0, 4.0]))
        0.5
    """
    return float((statistics >= statistics[0]).double().mean())


Classifier = Callable[[Tensor], Tensor]
"""Function from rows in unit coordinates, ``(n, d)``, to logits ``(n,)`` of being real."""

_PRODUCTS = 15
"""Largest dimension in which products of coordinates are features."""
_FAR = 8.0
_COSINES = 200
_RIDGES = (1e-3, 1e-1, 1.0)
"""Ridge penalties, divided by the number of rows."""
_SCALES = torch.logspace(-3, 2, 101, dtype=torch.float64)


def deviations(rows: Tensor) -> Tensor:
    """Return the columns' standard deviations, shape ``(d,)``; 1 for a constant column."""
    sd = rows.double().std(0)
    return torch.where(sd > 0, sd, 1.0)


class Units:
    """Coordinates in which rows ``(n, d)`` have mean 0 and deviation 1, clamped to 8 deviations."""

    def __init__(self, rows: Tensor) -> None:
        self.mean, self.sd = rows.mean(0), deviations(rows)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the rows in these coordinates, shape ``(n, d)``."""
        return ((x - self.mean) / self.sd).clamp(-_FAR, _FAR)


def features(z: Tensor) -> Tensor:
    """Return coordinates, squares and in few dimensions products, ``(n, d)`` to ``(n, k)``."""
    if z.shape[1] > _PRODUCTS:
        return torch.cat([z, z.square() / 2], 1)
    i, j = torch.triu_indices(z.shape[1], z.shape[1])
    return torch.cat([z, z[:, i] * z[:, j] / 2], 1)


def log_loss(logits: Tensor, real: Tensor) -> Tensor:
    """Return the loss of each row, nats, shape ``(n,)``; ``real`` is 1 for rows, 0 for samples.

    Example:
        >>> round(float(log_loss(torch.zeros(1), torch.ones(1))), 4)  # log 2
        0.6931
    """
    return softplus(logits) - real * logits


def fit_classifier(
    train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], seed: int
) -> Classifier:
    """Return the classifier that separates validation rows best, with its logits scaled there.

    Candidates are ridge regressions on coordinates, on :func:`features` and on random cosines (an
    approximate Gaussian kernel). Rows ``(n, d)`` are in units, with labels ``(n,)``, 1 for real.
    """
    with seeded(seed):
        sees = (lambda z: z, features, _cosines(train[0]))
        candidates = [one for see in sees for one in _ridges(*train, see)]
    # A t-statistic detects small differences that noise hides from a log-loss.
    best = max(candidates, key=lambda one: _separation(one(valid[0]), valid[1]))
    logits = best(valid[0])
    losses = torch.stack([log_loss(scale * logits, valid[1]).mean() for scale in _SCALES])
    scale = float(_SCALES[losses.argmin()])
    return lambda z: scale * best(z)


def _cosines(z: Tensor) -> Callable[[Tensor], Tensor]:
    """Return random cosines that vary over half the median distance between rows."""
    some = z[:200]
    length = float(torch.pdist(some).median().clamp_min(1e-6)) / 2
    omega = torch.randn(z.shape[1], _COSINES, dtype=z.dtype) / length
    phase = 2 * math.pi * torch.rand(_COSINES, dtype=z.dtype)
    return lambda x: torch.cos(x @ omega + phase) * math.sqrt(2 / _COSINES)


def _separation(logits: Tensor, real: Tensor) -> float:
    one, other = logits[real > 0.5], logits[real <= 0.5]
    spread = (one.var() + other.var()).sqrt()
    return float((one.mean() - other.mean()) / spread) if float(spread) > 0 else -math.inf


def _ridges(z: Tensor, real: Tensor, see: Callable[[Tensor], Tensor]) -> Iterator[Classifier]:
    """Yield least-squares classifiers at several penalties, from one eigendecomposition."""
    seen = see(z)
    mean = seen.mean(0)
    centred = seen - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(z))
    slope = vectors.T @ (centred.T @ (real - 0.5)) / len(z)
    for ridge in _RIDGES:
        weights = 4 * vectors @ (slope / (values.clamp_min(0) + ridge))
        yield functools.partial(_linear, see, mean, weights)


def _linear(see: Callable[[Tensor], Tensor], mean: Tensor, weights: Tensor, z: Tensor) -> Tensor:
    return (see(z) - mean) @ weights


_JUDGED, _VALID = 0.5, 0.15
_PERMUTATIONS = 499


@dataclasses.dataclass(frozen=True)
class ClassifierTest(Typed):
    """The skill of a classifier at telling rows from samples on data not used in its training.

    Attributes:
        accuracy, accuracy_error: Fraction of right answers; 1/2 if the laws agree.
        information, information_error: log 2 - log-loss, nats. Its expectation is at most the
            Jensen-Shannon divergence of the laws.
        p_value: p-value of the hypothesis "one law", by permutation of the labels.
        judged: Number of test rows of each kind.
    """

    accuracy: float
    accuracy_error: float
    information: float
    information_error: float
    p_value: float
    judged: int


def classifier_test(
    rows: Tensor, samples: Tensor, *, seed: int = 0
) -> tuple[ClassifierTest, tuple[Tensor, Tensor]]:
    """Test whether rows and samples come from one law.

    A classifier (:func:`fit_classifier`) is trained on half of both. On the other half the
    statistic is the difference of its mean probabilities, and the p-value is exact by permutation
    of the labels there. Rows must be independent, which overlapping patches are not.

    Args:
        rows: Shape ``(n, d)``, n >= 20.
        samples: Shape ``(m, d)``; min(n, m) of each are used.

    Returns:
        The test; the rows and then the samples on which it was made, shape ``(2 k, d)``, with the
        logits of being a row, shape ``(2 k,)``.

    Source: Lopez-Paz, Oquab, Revisiting classifier two-sample tests, 2017; Kim, Ramdas, Singh,
    Wasserman, Classification accuracy as a proxy for two-sample testing, 2021.

    Example:
        >>> x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> test, _ = classifier_test(x[:200], x[200:] + 3)
        >>> test.accuracy > 0.9, test.p_value
        (True, 0.002)
    """
    rng = generator(seed, "classifier")
    count = min(len(rows), len(samples))
    x, y = (part[torch.randperm(len(part), generator=rng)[:count]] for part in (rows, samples))
    judged = max(1, round(_JUDGED * count))
    valid = max(1, round(_VALID * count))
    units = Units(torch.cat([x[judged:], y[judged:]]))

    def both(part: slice) -> tuple[Tensor, Tensor]:
        """Return rows and samples in units, shape ``(n, d)``, and labels ``(n,)``."""
        pooled = units(torch.cat([x[part], y[part]]))
        real = torch.zeros(len(pooled), dtype=pooled.dtype)
        real[: len(pooled) // 2] = 1
        return pooled, real

    training, validation = both(slice(judged + valid, None)), both(slice(judged, judged + valid))
    classify = fit_classifier(training, validation, derive(seed, "net"))
    pooled, real = both(slice(judged))
    logits = classify(pooled)
    ways = labels(judged, judged, _PERMUTATIONS, rng)
    right = ((logits > 0) == (real > 0.5)).double()
    accuracy, loss = mean_and_error(right), mean_and_error(log_loss(logits, real))
    test = ClassifierTest(
        accuracy=accuracy.value,
        accuracy_error=accuracy.error,
        information=math.log(2) - loss.value,
        information_error=loss.error,
        p_value=permutation_p_value(logits.sigmoid() @ ways),
        judged=judged,
    )
    return test, (torch.cat([x[:judged], y[:judged]]), logits)


_SHARE = 0.1
_COLUMNS = 5


@dataclasses.dataclass(frozen=True)
class Region(Typed):
    """The tenth of rows and samples that the classifier most clearly assigns to one of them.

    Attributes:
        favours: ``rows``: the model has too little mass there; ``samples``: too much.
        rows_share, samples_share: The fractions of the rows, and of the samples, in the region.
        centre: The median of the region's points, in the data's units, shape ``(d,)``.
        columns: The columns in which the centre is furthest from the median of all, with the
            distance in standard deviations.
    """

    favours: Literal["rows", "samples"]
    rows_share: float
    samples_share: float
    error: float
    centre: tuple[float, ...]
    columns: tuple[tuple[str, float], ...]


def regions_of(pooled: Tensor, logits: Tensor, names: Sequence[str]) -> tuple[Region, ...]:
    """Return the region that lacks samples, and the one that has too many.

    Args:
        pooled, logits: As :func:`classifier_test` returns them, ``(2 n, d)`` and ``(2 n,)``.
    """
    middle, unit, n = pooled.median(0)[0], deviations(pooled), len(pooled) // 2

    def region(favours: Literal["rows", "samples"], inside: Tensor, own: slice) -> Region | None:
        points = pooled[own][inside[own]]
        if not len(points):
            return None
        centre = points.median(0)[0]
        away = (centre - middle) / unit
        order = away.abs().argsort(descending=True)[:_COLUMNS].tolist()
        rows, samples = (float(part.double().mean()) for part in inside.chunk(2))
        error = math.sqrt((rows * (1 - rows) + samples * (1 - samples)) / n)
        columns = tuple((names[j], float(away[j])) for j in order)
        return Region(favours, rows, samples, error, tuple(centre.tolist()), columns)

    high, low = logits.quantile(1 - _SHARE), logits.quantile(_SHARE)
    both = (
        region("rows", logits >= high, slice(n)),
        region("samples", logits <= low, slice(n, None)),
    )
    return tuple(one for one in both if one is not None)
