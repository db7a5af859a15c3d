"""Tables for checking the planner: laws that no rule was chosen on, and colours of photographs.

Each was written down, and measured once, after the rules were.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["UNSEEN"]


def colours(r: np.random.Generator) -> Tensor:
    """Red, green and blue of scikit-learn's two photographs, and where: whole numbers."""
    from sklearn.datasets import load_sample_images

    found = []
    for image in load_sample_images().images:
        height, width, _ = image.shape
        y, x = r.integers(0, height, 20_000), r.integers(0, width, 20_000)
        found.append(np.column_stack([image[y, x], x, y]))
    return _shuffled(r, np.concatenate(found))


def lorenz(r: np.random.Generator) -> Tensor:
    """Two states of Lorenz's system a quarter of a unit of time apart, and noise of 0.1."""
    state, step, states = np.array([1.0, 1.0, 1.05]), 0.005, []
    for _ in range(45 * 2000):
        x, y, z = state
        middle = state + step / 2 * np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
        x, y, z = middle
        state = state + step * np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
        states.append(state)
    path = np.array(states)[2000:]
    pairs = np.concatenate([path[:-50:3], path[50::3]], 1)
    return _shuffled(r, pairs + 0.1 * r.normal(size=pairs.shape))


def volatility(r: np.random.Generator) -> Tensor:
    """Eight returns in a row whose log-variance is an autoregression (0.95, noise 0.3)."""
    n = 12_000
    log_variance = np.empty((n, 8))
    log_variance[:, 0] = 0.3 / (1 - 0.95**2) ** 0.5 * r.normal(size=n)
    for k in range(1, 8):
        log_variance[:, k] = 0.95 * log_variance[:, k - 1] + 0.3 * r.normal(size=n)
    return torch.from_numpy(np.exp(log_variance / 2) * r.normal(size=(n, 8)))


def counts(r: np.random.Generator) -> Tensor:
    """Ten counts, Poisson given three gamma factors that they share."""
    n = 20_000
    weights = np.random.default_rng(1).gamma(0.5, size=(3, 10))
    return torch.from_numpy(r.poisson(4 * r.gamma(2.0, size=(n, 3)) @ weights).astype(np.float64))


def shell(r: np.random.Generator) -> Tensor:
    """Four columns near a sphere of radius 2, thicker where the first is positive."""
    x = r.normal(size=(15_000, 4))
    x *= 2 / np.linalg.norm(x, axis=1, keepdims=True)
    return torch.from_numpy(x + np.where(x[:, :1] > 0, 0.2, 0.05) * r.normal(size=x.shape))


def friedman(r: np.random.Generator) -> Tensor:
    """Friedman's first regression: ten uniform columns, and a response with noise of 1."""
    x = r.random((3000, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3]
    return torch.from_numpy(np.column_stack([x, y + 5 * x[:, 4] + r.normal(size=3000)]))


def spikes(r: np.random.Generator) -> Tensor:
    """Eight columns that are noise of 0.05, and now and then together a log-normal rise."""
    x, z = 0.05 * r.normal(size=(20_000, 8)), r.normal(size=(20_000, 2))
    on = r.random(x.shape) < 1 / (1 + np.exp(3.7 - 0.8 * z[:, :1]))
    return torch.from_numpy(x + on * np.exp(1 + 1.2 * r.normal(size=x.shape) + 0.5 * z[:, 1:]))


def pareto(r: np.random.Generator) -> Tensor:
    """Five Pareto columns with an exponent of 1.5, whose variance is infinite, correlated."""
    from scipy.stats import norm

    mixing = np.linalg.cholesky(0.5 * np.eye(5) + 0.5)
    return torch.from_numpy(norm.sf(r.normal(size=(10_000, 5)) @ mixing.T) ** (-1 / 1.5))


def student(r: np.random.Generator) -> Tensor:
    """A spherical Student law of six columns with 1.5 degrees of freedom: no variance."""
    scale = np.sqrt(r.chisquare(1.5, size=(10_000, 1)) / 1.5)
    return torch.from_numpy(r.normal(size=(10_000, 6)) / scale)


def sessions(r: np.random.Generator) -> Tensor:
    """Durations and volumes over many decades, one of them mostly nearly zero, and a share."""
    n = 30_000
    z = r.normal(size=(n, 2))
    duration = np.exp(2.5 * r.normal(size=n) + z[:, 0])
    volume = duration * np.exp(1.5 * r.normal(size=n))
    rare = np.where(r.random(n) < 0.9, 0.01 * np.abs(r.normal(size=n)), volume * np.exp(z[:, 0]))
    fraction = 1 / (1 + np.exp(-3 * z[:, 1]))
    return torch.from_numpy(
        np.column_stack(
            [
                duration,
                volume,
                rare,
                fraction,
                fraction**2 + 0.02 * r.normal(size=n),
                np.where(r.random(n) < 0.98, 1, 5) * r.normal(size=n),
            ]
        )
    )


def cauchy(r: np.random.Generator) -> Tensor:
    """Five independent Cauchy columns, mixed: neither means nor variances, tails along five lines.

    Its entropy is 5 log(4 pi) + log |det A|, 11.82 here.
    """
    mixing = np.eye(5) + 0.5 * r.normal(size=(5, 5))
    return torch.from_numpy(r.standard_cauchy(size=(12_000, 5)) @ mixing.T)


def flights(r: np.random.Generator) -> Tensor:
    """Five places of a Levy flight (stable steps, exponent 1.3), and a sixth column of noise.

    Source: Chambers, Mallows, Stuck, *A Method for Simulating Stable Random Variables*, 1976.
    """
    n, a = 12_000, 1.3
    u, e = np.pi * (r.random((n, 5)) - 0.5), r.exponential(size=(n, 5))
    steps = np.sin(a * u) / np.cos(u) ** (1 / a) * (np.cos((1 - a) * u) / e) ** ((1 - a) / a)
    return torch.from_numpy(np.column_stack([steps.cumsum(1), r.normal(size=n)]))


def _shuffled(r: np.random.Generator, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(r.permutation(rows).astype(np.float64))


UNSEEN = {
    "colours": (colours, 1.0),
    "lorenz": (lorenz, 0.0),
    "volatility": (volatility, 0.0),
    "counts": (counts, 1.0),
    "shell": (shell, 0.0),
    "friedman": (friedman, 0.0),
    "spikes": (spikes, 0.0),
    "pareto": (pareto, 0.0),
    "student": (student, 0.0),
    "sessions": (sessions, 0.0),
    "cauchy": (cauchy, 0.0),
    "flights": (flights, 0.0),
}
"""Rows by name, and the width of the noise that gives whole numbers a density."""
