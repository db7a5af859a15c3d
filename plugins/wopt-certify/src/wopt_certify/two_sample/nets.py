"""The classifiers: ridge regression on low-order features, and a small net."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from wopt.seeds import seeded

__all__ = ["Units", "features", "fit_classifier", "log_loss"]

Classifier = Callable[[Tensor], Tensor]
"""Function from rows in unit coordinates, ``(n, d)``, to logits ``(n,)`` of being real."""

_PRODUCTS = 15
"""Largest dimension in which products of coordinates are features."""
_FAR = 8.0
_COSINES = 200
_RIDGES = (1e-3, 1e-1, 1.0)
"""Ridge penalties, divided by the number of rows."""
_EVERY, _WIDTH, _DECAY = 20, 64, 1e-2
_SCALES = torch.logspace(-3, 2, 101, dtype=torch.float64)


class Units:
    """Coordinates in which rows have mean 0 and deviation 1, clamped to 8 deviations.

    Args:
        rows: Rows of both samples together, shape ``(n, d)``.
    """

    def __init__(self, rows: Tensor) -> None:
        self.mean = rows.mean(0)
        sd = rows.std(0)
        self.sd = torch.where(sd > 0, sd, 1.0)

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
    train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], iterations: int, seed: int
) -> Classifier:
    """Return the classifier that separates validation rows best, with its logits scaled there.

    Candidates are ridge regressions on coordinates, on :func:`features` and on random cosines (an
    approximate Gaussian kernel), and a net. The one with the largest t-statistic of its logits is
    chosen, which detects small differences that noise hides from a log-loss. A positive scale is
    then fitted, which keeps the order.

    Args:
        train: Rows in unit coordinates, shape ``(n, d)``, and their labels ``(n,)``, 1 for real
            ones.
        valid: Validation rows and labels, of the same kind.
        iterations: Training iterations of the net.
        seed: Seed of the net.
    """
    with seeded(seed):
        sees = (lambda z: z, features, _cosines(train[0]))
        candidates = [one for see in sees for one in _ridges(*train, see)]
        candidates.append(_net(train, valid, iterations))
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


def _net(train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], iterations: int) -> Classifier:
    """Return a net of two hidden layers, stopped where its validation loss is least."""
    net = nn.Sequential(
        nn.Linear(train[0].shape[1], _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU(),
        nn.Linear(_WIDTH, 1),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(iterations, 1))
    x, real = train[0].float(), train[1].float()
    judged, truth = valid[0].float(), valid[1].float()
    best, kept = math.inf, copy.deepcopy(net.state_dict())
    for k in range(1, iterations + 1):
        rows = torch.randint(len(x), (min(512, len(x)),))
        with torch.enable_grad():
            optimiser.zero_grad()
            log_loss(net(x[rows])[:, 0], real[rows]).mean().backward()
        optimiser.step()
        schedule.step()
        if k % _EVERY == 0 or k == iterations:
            with torch.no_grad():
                loss = float(log_loss(net(judged)[:, 0], truth).mean())
            if loss < best:
                best, kept = loss, copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)

    @torch.no_grad()
    def classify(z: Tensor) -> Tensor:
        """Return logits, shape ``(n,)``, of rows ``(n, d)``."""
        return net(z.float())[:, 0].double()

    return classify
