"""Every variant of the subproblem against its formula."""

import math

import pytest
import torch

import wopt
from wopt.testing import AffineBlock
from wopt_schemes.linearised import Linearised
from wopt_schemes.regression import Regression
from wopt_schemes.sliced_jko import directions

H = 0.4


@pytest.fixture
def x():
    rng = torch.Generator().manual_seed(0)
    return wopt.Particles.start(torch.randn(40, 2, dtype=torch.float64, generator=rng))


@pytest.fixture
def block():
    made = AffineBlock(2).double()
    with torch.no_grad():
        made.matrix.copy_(torch.tensor([[1.2, -0.3], [0.1, 0.8]]))
        made.shift.copy_(torch.tensor([0.5, -0.2]))
    return made


@pytest.fixture
def kl():
    return wopt.build("objective", "kl")


def subproblem(make, name, x, kl, **options):
    history = wopt.History(x, None, None, 0, H, None)
    return make(name, H, **options).subproblem(history, kl)


def energy(x, kl, block):
    return kl.energy(x.moved(*block(x.points)))


def changed(sub, block):
    """Return F(T) - F(id), with the loss alone."""
    with torch.no_grad():
        return float(sub.loss(block) - sub.loss(AffineBlock(2).double()))


def test_linearised(x, kl, block):
    """DG(rho)[u] = E [<x, u> - div u] for kl to N(0, I)."""
    sub = Linearised.of(x, H, kl)
    u = (block.move(x.points) - x.points).detach()
    divergence = float(block.matrix.detach().trace()) - 2
    each = (x.points * u).sum(1) - divergence + u.square().sum(1) / (2 * H)
    torch.testing.assert_close(sub.loss(block).detach(), each.mean())
    with torch.no_grad():
        change = sub.change(block, x.moved(*block(x.points)))
    assert change.value == pytest.approx(float(each.mean()), rel=1e-12)
    assert change.error == pytest.approx(float(each.std()) / math.sqrt(40), rel=1e-12)
    condition = sub.stationarity(block)
    torch.testing.assert_close(condition.displacement, u)
    assert condition.particles is x
    assert sub.explicit
    assert sub.gradient(kl, x) is None


def test_the_linearised_subproblem_of_a_sub_batch(x, kl, block):
    sub = Linearised.of(x, H, kl)
    losses = [float(sub.rows(half).loss(block).detach()) for half in (slice(20), slice(20, 40))]
    assert sum(losses) / 2 == pytest.approx(float(sub.loss(block).detach()), rel=1e-12)


def test_half_way(x, kl, block, make):
    """kl at (x + T x)/2, and twice the squared way there over the step: h' = h/2."""
    sub = subproblem(make, "midpoint", x, kl)
    m = (x.points + block.move(x.points)) / 2
    log_det = torch.linalg.slogdet((torch.eye(2) + block.matrix) / 2)[1]
    g = m.square().sum(1).mean() / 2 + math.log(2 * math.pi) - log_det
    torch.testing.assert_close(sub.loss(block), g + (m - x.points).square().sum(1).mean() / H)
    with torch.no_grad():
        change = sub.change(block, x.moved(*block(x.points)))
    assert change.value == pytest.approx(changed(sub, block), rel=1e-9)
    torch.testing.assert_close(sub.stationarity(block).particles.points, m.detach())
    assert not sub.proximal
    assert sub.gradient(kl, x) is None


def test_sliced(x, kl, block, make):
    sub = subproblem(make, "sliced_jko", x, kl, frames=3, seed=2)
    u = directions(2, 3, 2)
    old, new = (points @ u for points in (x.points, block.move(x.points)))
    squares = (old.sort(0).values - new.sort(0).values).square().mean()
    torch.testing.assert_close(sub.loss(block), energy(x, kl, block) + squares / (2 * H))
    assert sub.rows(slice(5)).directions is sub.directions


def test_another_cost_does_not_tell_the_gradient(x, kl, make):
    assert subproblem(make, "sliced_jko", x, kl).gradient(kl, x) is None


def test_regression(x, block):
    sub = Regression(x, x.points + 1, H)
    y = block.move(x.points)
    expected = (y - x.points - 1).square().sum(1).mean() / (2 * H)
    torch.testing.assert_close(sub.loss(block), expected)
    with torch.no_grad():
        change = sub.change(block, x.moved(*block(x.points)))
    assert change.value == pytest.approx(changed(sub, block), rel=1e-12)
    assert sub.explicit
    assert sub.stationarity(block) is None


def test_ornstein_uhlenbeck(x, kl, make):
    """Of the constant field v = c:  E |c - (x_1 - x)|^2, from draws of x_1 with the same seed."""

    class Constant(AffineBlock):
        def field(self, t, x):
            return torch.full_like(x, 0.7)

    sub = subproblem(make, "local_flow_matching", x, kl)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = sub.loss(Constant(2).double())
        torch.manual_seed(3)
        z = torch.randn(40, 2, dtype=torch.float64)
    end = math.exp(-H) * x.points + math.sqrt(1 - math.exp(-2 * H)) * z
    torch.testing.assert_close(found, (0.7 - (end - x.points)).square().sum(1).mean())
    assert float(sub.change(AffineBlock(2).double(), x).value) == 0.0
    assert sub.explicit


def test_explicit_steps_must_lower_the_energy(x, kl):
    """The regression on points where the energy is higher is solved, and refused all the same."""
    block = AffineBlock(2).double()
    with torch.no_grad():
        block.shift.fill_(3.0)
    verdict = wopt.Guard().judge(Regression(x, x.points + 3, H), kl, block)
    assert verdict.decrease.value < 0
    assert "the held-out energy rose" in verdict.lacks_decrease
    early = wopt.Guard().judge(Regression(x, x.points + 3, H), kl, block, final=False)
    assert early.accepted
