"""Smoothing by the Ornstein-Uhlenbeck process: gives data without a density one."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.data.dataset import Dataset
from wopt.seeds import generator

__all__ = ["smooth_dataset", "smoothed"]


def smoothed(z: Tensor, time: float, noise: torch.Generator) -> Tensor:
    """Return  e^-t z + (1 - e^-2t)^1/2 xi,  xi ~ N(0, I): the process at time t, exactly.

    Args:
        z: Rows in the flow's coordinates, shape ``(n, d)``.
        time: t.
        noise: Draws xi.

    Source: docs/theory.md 1.8.

    Example:
        >>> point = torch.ones(20_000, 1, dtype=torch.float64)
        >>> x = smoothed(point, 0.1, torch.Generator().manual_seed(0))
        >>> abs(float(x.mean()) - 0.9048) < 0.01, abs(float(x.var()) - 0.1813) < 0.01
        (True, True)
    """
    xi = torch.randn(z.shape, generator=noise, dtype=z.dtype)
    return math.exp(-time) * z + math.sqrt(-math.expm1(-2 * time)) * xi


def smooth_dataset(dataset: Dataset, time: float, seed: int) -> Dataset:
    """Return the dataset whose rows are smoothed, each by one draw that is kept.

    Smoothing is done in the flow's coordinates, after the preprocessing. The density is no longer
    known, whether or not it was.

    Args:
        dataset: What a source loaded.
        time: t; 0 returns the dataset as it is.
        seed: Of the noise.
    """
    if time == 0:
        return dataset
    transform, draw = dataset.transform, dataset.sample

    def rows(x: Tensor, noise: torch.Generator) -> Tensor:
        return transform.inverse(smoothed(transform.forward(x), time, noise))

    def sample(n: int, noise: torch.Generator) -> Tensor:
        assert draw is not None
        return rows(draw(n, noise), noise)

    return dataclasses.replace(
        dataset,
        train=rows(dataset.train, generator(seed, "smooth", "train")),
        valid=rows(dataset.valid, generator(seed, "smooth", "valid")),
        test=rows(dataset.test, generator(seed, "smooth", "test")),
        log_density=None,
        entropy=None,
        sample=sample if draw else None,
    )
