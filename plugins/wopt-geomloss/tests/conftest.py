"""What the tests share: particles and targets without sampling noise."""

import math

import pytest
import torch

import wopt
from wopt import Capability


class Fixed(wopt.Target):
    """A law whose samples are always the same points."""

    provides = Capability.TARGET_SAMPLES

    def __init__(self, points):
        self.points = points
        self.dim = points.shape[1]

    def sample(self, n, dim, generator):
        assert (n, dim) == self.points.shape
        return self.points


def quantiles(n):
    """Return the quantiles of N(0, 1) at (k - 1/2)/n, with their variance made 1."""
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    z = math.sqrt(2) * torch.erfinv(2 * u - 1)
    return z / z.square().mean().sqrt()


def grid(mean, covariance, n):
    """Return n^d points with exactly this mean and covariance, a product of quantiles."""
    z = torch.cartesian_prod(*[quantiles(n)] * len(mean)).reshape(-1, len(mean))
    return mean + z @ torch.linalg.cholesky(covariance).T


def skewed(n, dim, seed=2):
    """Return points of a law that is not Gaussian."""
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return z + z.square() / 3


@pytest.fixture(scope="session", name="tools")
def make_tools():
    """Return the helpers above by name."""

    class Tools:
        pass

    for helper in (Fixed, quantiles, grid, skewed):
        setattr(Tools, helper.__name__.lower(), staticmethod(helper))
    return Tools
