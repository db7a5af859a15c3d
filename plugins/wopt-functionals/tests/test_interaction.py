"""Interaction energies against closed forms, and what makes a kernel."""

import math

import pytest
import torch

import wopt
from wopt.testing import gaussian_nodes
from wopt_functionals import Interaction

M = torch.tensor([0.5, -0.3]).double()
C = torch.tensor([[1.0, 0.3], [0.3, 0.8]]).double()


def near(value, exact, tolerance=1e-9):
    assert float(value) == pytest.approx(float(exact), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dim", [1, 2])
def test_quadratic_interaction_both_ways(dim):
    m, c = M[:dim], C[:dim, :dim]
    p = gaussian_nodes(m, c, 20)
    exact = 1.7 / 2 * torch.trace(c)
    near(Interaction(strength=1.7).energy(p), exact)
    pairwise = Interaction(kernel=lambda z: z.square().sum(-1) / 2, strength=1.7)
    near(pairwise.energy(p), exact)
    weight = 1 - p.weights.square().sum()
    near(Interaction(strength=1.7, estimator="u").energy(p), exact / weight)
    near(Interaction(kernel="power", power=2.0, strength=0.85).energy(p), exact)


def test_attraction_repulsion_from_moments():
    p = gaussian_nodes(M[:1], C[:1, :1], 10)
    v = 2 * float(C[0, 0])  # of the difference
    near(Interaction(kernel="attraction_repulsion").energy(p), (3 * v**2 / 4 - v / 2) / 2)


@pytest.mark.parametrize(("dim", "exact"), [(1, -1.0), (2, -math.log(2) / (2 * math.pi))])
def test_newtonian_kernel_is_greens_function(dim, exact):
    x = torch.zeros(2, dim).double()
    x[1, 0] = 2.0
    near(Interaction(kernel="newtonian").energy(wopt.Particles(x)), exact / 2)


def test_newtonian_kernel_is_harmonic_in_three_dimensions():
    w = Interaction(kernel="newtonian")

    def energy(z):
        x = torch.stack([torch.zeros(3).double(), z])
        return 2 * w.energy(wopt.Particles(x))

    near(energy(torch.tensor([0.0, 0.0, 2.0]).double()), 1 / (8 * math.pi))
    z, h = torch.tensor([0.6, -0.8, 1.1]).double(), 1e-3
    steps = [sign * h * axis for axis in torch.eye(3).double() for sign in (1, -1)]
    near(sum(energy(z + step) for step in steps) - 6 * energy(z), 0.0, 1e-10)
