"""Smoothing by the Ornstein-Uhlenbeck process: gives data without a density one."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.data.dataset import Dataset
from wopt.seeds import generator

__all__ = ["smooth_dataset", "smoothed"]


def smoothed(z: Tensor, time: float, rng: torch.Generator) -> Tensor:
    """Return  e^-t z + (1 - e^-2t)^1/2 xi,  xi ~ N(0, I): the process at time t, exactly.

    Args:
        z: Rows in the flow's coordinates, shape ``(n, d)``.
        time: Time t of the process.
        rng: Random numbers for xi.

    Source: docs/theory.md 1.8.

    Example:
        >>> point = torch.ones(20_000, 1, dtype=torch.float64)
        >>> x = smoothed(point, 0.1, torch.Generator().manual_seed(0))
        >>> abs(float(x.mean()) - 0.9048) < 0.01, abs(float(x.var()) - 0.1813) < 0.01
        (True, True)
    """
    xi = torch.randn(z.shape, generator=rng, dtype=z.dtype)
    return math.exp(-time) * z + math.sqrt(-math.expm1(-2 * time)) * xi


def smooth_dataset(dataset: Dataset, time: float, seed: int) -> Dataset:
    """Return the dataset with smoothed rows, each by one fixed draw.

    Smoothing is done in the flow's coordinates, after the preprocessing. The exact density and
    entropy are dropped.

    Args:
        dataset: The dataset of a source.
        time: Time t; 0 returns the dataset unchanged.
        seed: Seed of the noise.
    """
    if time == 0:
        return dataset
    transform, draw = dataset.transform, dataset.sample

    def rows(x: Tensor, rng: torch.Generator) -> Tensor:
        """Return smoothed rows, shape ``(n, d)``, in the data's units."""
        return transform.inverse(smoothed(transform.forward(x), time, rng))

    def sample(n: int, rng: torch.Generator) -> Tensor:
        """Return fresh smoothed rows, shape ``(n, d)``."""
        assert draw is not None
        return rows(draw(n, rng), rng)

    return dataclasses.replace(
        dataset,
        train=rows(dataset.train, generator(seed, "smooth", "train")),
        valid=rows(dataset.valid, generator(seed, "smooth", "valid")),
        test=rows(dataset.test, generator(seed, "smooth", "test")),
        log_density=None,
        entropy=None,
        sample=sample if draw else None,
    )
