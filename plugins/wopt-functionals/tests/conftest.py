"""What the tests share: bent particles, exact samples on the line, exact steps."""

import math

import pytest
import torch
from torch import nn

import wopt
from wopt import Capability, Particles
from wopt.testing import gaussian_nodes


def bent(nodes):
    """Push particles through a smooth map that is not affine, with its log-det.

    In one dimension x + 0.3 sin(2x); in two (x + 0.4 sin y, y + 0.3 sin(2y)).
    """
    x = nodes.points
    last = x[:, -1]
    y = x.clone()
    y[:, -1] = last + 0.3 * torch.sin(2 * last)
    if x.shape[1] == 2:
        y[:, 0] = x[:, 0] + 0.4 * torch.sin(last)
    return nodes.moved(y, torch.log1p(0.6 * torch.cos(2 * last)))


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


@pytest.fixture(scope="session", params=["line", "plane", "equal weights"])
def bent_particles(request):
    """Return particles of a law that is not Gaussian, with log-det and density."""
    rng = torch.Generator().manual_seed(3)
    if request.param == "line":
        return bent(gaussian_nodes(torch.tensor([0.4]).double(), torch.eye(1).double() / 2, 9))
    one = torch.eye(2).double() / 2
    if request.param == "plane":
        return bent(gaussian_nodes(torch.tensor([0.4, -0.2]).double(), one, 5))
    x = torch.randn(24, 2, dtype=torch.float64, generator=rng) / math.sqrt(2)
    law = torch.distributions.MultivariateNormal(torch.zeros(2).double(), one)
    return bent(Particles.start(x, log_density=law.log_prob(x)))


class Free(wopt.FlowBlock):
    """T(x_i) = x_i + u_i for a fixed list of particles: no log-det (a stand-in), no inverse."""

    def __init__(self, dim, n):
        super().__init__()
        self.u = nn.Parameter(torch.zeros(n, dim))

    def forward(self, x):
        return x + self.u, torch.zeros_like(x[:, 0])

    def inverse(self, y):
        raise wopt.CapabilityError("this block has no inverse")


def step(objective, particles, h):
    """Return the particles after one JKO step, found by ``wopt.solve``."""
    found = wopt.solve(
        particles,
        objective=objective,
        scheme={"name": "jko", "step_size": h},
        block=Free(particles.dim, len(particles)),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done", found.reason
    return found.state.train.particles


@pytest.fixture(scope="session", name="step")
def make_step():
    """Return a function that makes one exact step of finitely many particles."""
    return step
