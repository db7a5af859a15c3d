"""The kernel Stein discrepancy."""

import pytest
import torch

import wopt
from wopt import Capability
from wopt.testing import NormalTarget, gaussian_nodes
from wopt_functionals import KSD
from wopt_functionals.points.stein import Stein

TARGET = NormalTarget([0.3, -0.1], [[1.5, 0.3], [0.3, 1.0]])


@pytest.mark.parametrize("kernel", ["gaussian", "inverse_multiquadric"])
def test_the_stein_kernel_by_automatic_derivatives(kernel):
    h = 0.8

    def k(x, y):
        u = (x - y).square().sum() / h**2
        return torch.exp(-u / 2) if kernel == "gaussian" else torch.rsqrt(1 + u)

    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 2, dtype=torch.float64, generator=rng)
    s, t = TARGET.score(torch.stack([x, y]))
    by_x, by_y = torch.autograd.functional.jacobian(k, (x, y))
    mixed = torch.autograd.functional.hessian(k, (x, y))[0][1]
    exact = (s @ t) * k(x, y) + s @ by_y + t @ by_x + torch.trace(mixed)
    rows = torch.cat([torch.stack([x, y]), torch.stack([s, t])], 1)
    one = torch.ones(1).double()
    found, _ = Stein(kernel, h).block(rows[:1], rows[1:], one, diagonal=None, slopes=False)
    assert float(found) == pytest.approx(float(exact), rel=1e-12)


def test_zero_at_the_target_and_nowhere_else():
    nodes = gaussian_nodes(TARGET.mean, TARGET.covariance, 40)
    g = KSD(TARGET, kernel="gaussian", bandwidth=2.0)
    assert float(g.energy(nodes)) == pytest.approx(0, abs=1e-9)
    distances = wopt.Particles(nodes.points + 0.5, nodes.weights)
    assert float(g.energy(distances)) > 0.01


def test_a_score_alone_must_be_differentiable():
    class Frozen(wopt.Target):
        provides = Capability.SCORE

        def score(self, x):
            return -x.detach()

    class Live(Frozen):
        def score(self, x):
            return -x

    p = wopt.Particles(torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double())
    held = wopt.Particles(p.points.clone().requires_grad_())
    assert float(KSD(Frozen()).energy(p)) == float(KSD(Live()).energy(p))
    KSD(Live()).energy(held).backward()
    with pytest.raises(wopt.CapabilityError, match="differentiable"):
        KSD(Frozen()).energy(held)


def test_a_potential_without_a_score_of_its_own_is_differentiated_twice():
    quartic = wopt.build("target", {"name": "potential", "function": lambda x: x.pow(4).sum(1) / 4})
    p = wopt.Particles(torch.randn(9, 2, generator=torch.Generator().manual_seed(0)).double())
    assert "derivative_matches_differences" in wopt.testing.check_objective(KSD(quartic), p)
