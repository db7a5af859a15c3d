"""Splittings: what is explicit and what is implicit, for sums and differences."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, gaussian_nodes, moments


class Attraction(wopt.Objective):
    """(a/4) E|x - x'|^2 = (a/2) times the total variance; its gradient is a (x - m)."""

    def __init__(self, a: float = 1.0) -> None:
        self.a = a
        self.convexity = 0.0

    def energy(self, particles):
        centred = particles.points - particles.mean(particles.points)
        return self.a * particles.mean(centred.square().sum(1)) / 2


class DoubleWell(wopt.Target):
    """V = (x^2 - 1)^2, whose curvature is at least -4."""

    provides = wopt.Capability.POTENTIAL
    convexity = -4.0

    def potential(self, x):
        return (x.square().sum(1) - 1).square()


def lbfgs(particles, objective, scheme, steps=1):
    return wopt.solve(
        particles,
        objective=objective,
        scheme=scheme,
        block=AffineBlock(particles.dim),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=steps),
    )


def test_forward_backward_splits_a_sum(problems, make):
    """KL + attraction: both smooth parts are explicit; the minimiser is Gaussian."""
    p, a = problems["rotated"], 0.7
    objective = p.objective() + Attraction(a)
    scheme = make("forward_backward", 0.2)
    history = wopt.History(p.nodes(), None, None, 0, 0.2, None)
    x = p.nodes().points
    slope = (x - p.n) @ torch.linalg.inv(p.s) + a * (x - p.m)
    sub = scheme.subproblem(history, objective)
    assert torch.allclose(sub.anchor, x - 0.2 * slope, atol=1e-12)
    assert sub.implicit.needs == wopt.Capability.LOG_DET
    covariance = torch.linalg.inv(torch.linalg.inv(p.s) + a * torch.eye(2))
    start = gaussian_nodes(p.n, covariance, order=2)
    found = lbfgs(start, objective, scheme)
    assert found.history[0].w2_step < 1e-8


@pytest.mark.parametrize("name", ["jko", "bdf2", "sdirk2", "explicit", "forward_backward"])
def test_schemes_reach_the_minimiser_of_a_sum(name, problems, make):
    p = problems["line"]
    found = lbfgs(p.nodes(), p.objective() + Attraction(1.0), make(name, 0.3), steps=40)
    mean, covariance = moments(found.state.train.particles)
    assert float(covariance) == pytest.approx(1 / (1 / 1.3 + 1), abs=1e-5)
    assert float(mean) == pytest.approx(-0.5, abs=1e-3)


def test_forward_backward_needs_two_parts(make, problems):
    scheme = make("forward_backward", 0.1)
    with pytest.raises(wopt.CapabilityError, match="Attraction has no implicit one"):
        scheme.check(Attraction(1.0))
    with pytest.raises(wopt.CapabilityError, match="EntropyPart has no explicit one"):
        scheme.check(problems["line"].objective().split()[1])


def test_smoothness_of_sums():
    from wopt.testing import NormalTarget
    from wopt_schemes.forward_backward import smoothness

    def potential(variance):
        target = NormalTarget([0.0], [[variance]])
        return wopt.build("objective", {"name": "kl", "target": target}).split()[0]

    assert smoothness(2 * potential(0.5) + potential(1.0)) == 5.0
    assert smoothness(potential(0.5) + Attraction(1.0)) is None


def test_semi_forward_backward_takes_the_curvature_of_the_objective(make):
    """A double well from a point where jko's subproblem is not convex at this step size."""
    kl = wopt.build("objective", {"name": "kl", "target": DoubleWell()})
    zero = torch.zeros(1, dtype=torch.float64)
    start = gaussian_nodes(zero + 0.1, torch.full((1, 1), 0.04, dtype=torch.float64), order=6)
    scheme = wopt.build("scheme", {"name": "semi_forward_backward", "step_size": 1.0})
    found = lbfgs(start, kl, scheme, steps=5)
    assert found.status == "done"
    assert all(r.energy_change < 0 for r in found.history)
    given = make("semi_forward_backward", 1.0, curvature=4.0)
    again = lbfgs(start, kl, given, steps=5)
    assert again.history[-1].energy == found.history[-1].energy


def test_semi_forward_backward_takes_a_difference(problems):
    """KL - attraction is such a difference as it stands."""
    p, a = problems["line"], 0.3
    objective = p.objective() + -a * Attraction(1.0)
    scheme = wopt.build("scheme", {"name": "semi_forward_backward", "step_size": 0.5})
    covariance = torch.linalg.inv(torch.linalg.inv(p.s) - a * torch.eye(1))
    found = lbfgs(gaussian_nodes(p.n, covariance, order=2), objective, scheme)
    assert found.history[0].w2_step < 1e-8


def test_semi_forward_backward_says_what_is_missing():
    scheme = wopt.build("scheme", {"name": "semi_forward_backward"})
    with pytest.raises(wopt.CapabilityError, match=r"has none.*scheme\.curvature = k"):
        scheme.check(wopt.build("objective", "ksd"))
