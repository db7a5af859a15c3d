"""What the tests share: exact samples on the line."""

import math

import pytest
import torch

import wopt
from wopt import Capability


class Quantiles(wopt.Target):
    """A law on the line whose samples are its quantiles at (k - 1/2)/n: no sampling noise."""

    provides = Capability.TARGET_SAMPLES
    dim = 1

    def __init__(self, quantile):
        self.quantile = quantile

    def sample(self, n, dim, generator):
        u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        return self.quantile(u)[:, None]


def normal(mean=0.0, scale=1.0):
    """Return the quantile function of N(mean, scale^2)."""
    return lambda u: mean + scale * math.sqrt(2) * torch.erfinv(2 * u - 1)


@pytest.fixture(scope="session")
def quantiles():
    """Return a function from a quantile function to a target."""
    return Quantiles


@pytest.fixture(scope="session")
def normal_quantile():
    """Return a function from mean and scale to a quantile function."""
    return normal
