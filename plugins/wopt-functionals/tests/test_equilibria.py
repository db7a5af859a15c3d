"""Equilibria in closed form (docs/theory 5.4), with the error they are found to."""

import math

import numpy as np
import pytest
import torch

import wopt
from wopt import Particles
from wopt.interfaces.objective import wasserstein_gradient
from wopt.testing import AffineBlock, NormalTarget, gaussian_nodes, moments
from wopt_functionals import (
    KSD,
    MMD,
    EnergyDistance,
    Interaction,
    Potential,
    SlicedWasserstein,
)

TARGET = NormalTarget([0.5, 0.0], [[0.6, 0.2], [0.2, 0.9]])


def descend(objective, x, h, steps):
    """Return the particles after explicit Euler steps along the Wasserstein gradient."""
    for _ in range(steps):
        x = x - h * wasserstein_gradient(objective, Particles(x))
    return Particles(x)


def uniform_start(n, dim=1):
    return torch.linspace(-1, 1, n * dim).double().reshape(n, dim) * 0.9


@pytest.mark.parametrize("scheme", ["jko", "forward_backward"])
def test_entropy_and_attraction_end_in_a_gaussian(scheme):
    """N(m, I/a), to 1e-6: the mean is kept, the covariance forgotten."""
    a, m = 2.0, torch.tensor([1.0, -0.5]).double()
    start = gaussian_nodes(m, torch.tensor([[2.0, 0.6], [0.6, 0.5]]).double())
    found = wopt.solve(
        start,
        objective={
            "name": "sum",
            "parts": [
                {"objective": "entropy"},
                {"objective": {"name": "interaction", "strength": a}},
            ],
        },
        scheme={"name": scheme, "step_size": 0.4},
        block=AffineBlock(2),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=15),
    )
    assert found.status == "done", found.reason
    mean, covariance = moments(found.state.train.particles)
    torch.testing.assert_close(mean, m, rtol=0, atol=1e-6)
    torch.testing.assert_close(covariance, torch.eye(2).double() / a, rtol=0, atol=1e-6)


def test_log_gas_ends_in_the_semicircle_law():
    """On [-sqrt 2, sqrt 2] with energy 3/8 + log(2)/4: to 6% by 60 particles, 0.7% by 1000.

    n particles have an equilibrium of their own, the zeros of Hermite's polynomial, which the
    descent finds to 1e-6; its largest distance in the distribution function is below 0.004.
    """
    n = 60
    gas = Potential(NormalTarget([0.0], [[1.0]])) + Interaction(kernel="log")
    found = descend(gas, uniform_start(n), 0.02, 800)
    x = found.points[:, 0].sort()[0]
    zeros, _ = np.polynomial.hermite.hermgauss(n)
    torch.testing.assert_close(x, torch.from_numpy(zeros) / math.sqrt(n - 1), rtol=0, atol=1e-6)
    exact, constant = 3 / 8 + math.log(2) / 4, 0.5 * math.log(2 * math.pi)
    assert float(gas.energy(found)) - constant == pytest.approx(exact, rel=0.08)
    more = np.linalg.eigvalsh(np.diag(np.sqrt(np.arange(1, 1000) / 2), -1)) / math.sqrt(999)
    finer = gas.energy(Particles(torch.from_numpy(more)[:, None]))
    assert float(finer) - constant == pytest.approx(exact, rel=0.007)
    u = x / math.sqrt(2)
    level = (torch.arange(n).double() + 0.5) / n
    assert float((0.5 + (u * (1 - u**2).sqrt() + u.asin()) / math.pi - level).abs().max()) < 4e-3


def test_attraction_and_repulsion_by_distance_end_in_the_uniform_law():
    """(a/2) E x^2 - E|x - x'|/2 has the uniform law on [-1/a, 1/a], to 1e-9."""
    n, a = 50, 2.0
    repulsion = Interaction(kernel="power", strength=-1.0, power=1.0)
    energy = Potential(NormalTarget([0.0], [[1 / a]])) + repulsion
    x = descend(energy, uniform_start(n) + 0.2, 0.2, 60).points[:, 0]
    exact = (2 * torch.arange(n).double() + 1 - n) / (n * a)
    torch.testing.assert_close(x, exact, rtol=0, atol=1e-9)
    newtonian = Potential(NormalTarget([0.0], [[1 / a]])) + 2 * Interaction(kernel="newtonian")
    y = descend(newtonian, uniform_start(n) + 0.2, 0.2, 60).points[:, 0]
    torch.testing.assert_close(y, exact * n / (n - 1), rtol=0, atol=1e-9)  # estimate u


def test_attraction_repulsion_ends_in_two_diracs():
    """At distance 1, half the mass each, with energy -1/16: to 1e-6."""
    w = Interaction(kernel="attraction_repulsion")
    found = descend(w, uniform_start(40) + 0.3, 0.5, 200)
    exact = torch.where(torch.arange(40) < 20, -0.5, 0.5).double() + 0.3
    torch.testing.assert_close(found.points[:, 0], exact, rtol=0, atol=1e-6)
    assert float(w.energy(found)) == pytest.approx(-1 / 16, abs=1e-9)


def test_newtonian_repulsion_in_the_plane_ends_in_the_uniform_disc():
    """E|x|^2/2 + E W/2 has density 2 on the disc of squared radius 1/2 pi.

    E|x|^2 = 1/4 pi to 1e-6 (a virial identity), and half the mass within half the area to 5%.
    """
    n = 100
    rng = torch.Generator().manual_seed(0)
    x = 0.3 * torch.randn(n, 2, dtype=torch.float64, generator=rng)
    gas = Potential(NormalTarget([0.0, 0.0], torch.eye(2).tolist()))
    found = descend(gas + Interaction(kernel="newtonian"), x, 0.04, 300)
    squared = found.points.square().sum(1)
    assert float(squared.mean()) == pytest.approx(1 / (4 * math.pi), rel=1e-6)
    inside = float((squared < 1 / (4 * math.pi)).double().mean())
    assert inside == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("objective", "h"),
    [
        (MMD(TARGET, kernel="energy"), 1.0),
        (EnergyDistance(TARGET), 0.5),
        (SlicedWasserstein(TARGET, projections=20, samples=500), 1.0),
        (KSD(TARGET), 0.5),
    ],
    ids=["mmd", "energy_distance", "sliced_wasserstein", "ksd"],
)
def test_flows_reach_a_gaussian_target(objective, h):
    """Mean to 0.05 and covariance to 0.1, by 100 particles."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(100, 2, dtype=torch.float64, generator=rng) - 1
    mean, covariance = moments(descend(objective, x, h, 150))
    torch.testing.assert_close(mean, objective.target.mean, rtol=0, atol=0.05)
    torch.testing.assert_close(covariance, objective.target.covariance, rtol=0, atol=0.1)
