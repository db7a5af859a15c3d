"""The subproblem by its formulas, a user's scheme in five lines, and means with their errors."""

import math

import pytest
import torch

import wopt
from wopt.interfaces.objective import Objective
from wopt.interfaces.subproblem import Subproblem
from wopt.statistics import mean_and_error
from wopt.testing import AffineBlock, NormalTarget, gaussian_nodes, jko_step, moments

H = 0.4


class Heavy(wopt.ProximalScheme):
    def __init__(self, step_size: wopt.StepSizeOption):
        self.step_size = step_size

    def subproblem(self, history, objective):
        x = history.particles
        return wopt.Subproblem(x, x.points, 2 * history.step_size, objective)


def particles(n=50, dim=2):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(n, dim, dtype=torch.float64, generator=rng)
    return wopt.Particles.start(x)


def affine(dim=2):
    block = AffineBlock(dim).double()
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in block.parameters():
            p += 0.2 * torch.randn(p.shape, dtype=torch.float64, generator=rng)
    return block


@pytest.fixture
def kl():
    return wopt.build("objective", "kl")


@pytest.fixture
def sub(kl):
    x = particles()
    return Subproblem(x, x.points + 0.3, H, kl)


def test_a_scheme_of_five_lines_makes_an_exact_step():
    m, c = torch.tensor([1.5, -0.5]).double(), torch.diag(torch.tensor([1.8, 0.5])).double()
    target = NormalTarget([0.0, 0.3], [[1.2, 0.0], [0.0, 0.8]])
    found = wopt.solve(
        gaussian_nodes(m, c),
        objective=wopt.build("objective", {"name": "kl", "target": target}),
        scheme=Heavy(step_size=H),
        block=AffineBlock(2),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        stop=wopt.Stop(steps=1),
    )
    expected = jko_step(m, c, target.mean, target.covariance, 2 * H)
    for value, exact in zip(moments(found.state.train.particles), expected, strict=True):
        torch.testing.assert_close(value, exact, rtol=0, atol=1e-8)


def test_the_loss_is_energy_plus_transport(sub, kl):
    block, x = affine(), sub.particles
    y, log_det = block(x.points)
    expected = kl.energy(x.moved(y, log_det)) + (y - sub.anchor).square().sum(1).mean() / (2 * H)
    torch.testing.assert_close(sub.loss(block), expected)


def test_the_loss_of_weighted_particles_is_the_weighted_mean(kl):
    nodes = gaussian_nodes(torch.ones(2).double(), torch.eye(2).double())
    block = affine()
    y, log_det = block(nodes.points)
    each = y.square().sum(1) / 2 + math.log(2 * math.pi) - log_det
    each = each + nodes.log_density_start + (y - nodes.points).square().sum(1) / (2 * H)
    found = Subproblem(nodes, nodes.points, H, kl).loss(block)
    torch.testing.assert_close(found, nodes.weights @ each)


def test_a_sub_batch_takes_particles_and_anchors_together(sub):
    rows = torch.tensor([7, 0, 3])
    part = sub.rows(rows)
    assert torch.equal(part.particles.points, sub.particles.points[rows])
    assert torch.equal(part.anchor, sub.anchor[rows])
    losses = [sub.rows(half).loss(affine()) for half in (slice(0, 25), slice(25, 50))]
    torch.testing.assert_close(sum(losses) / 2, sub.loss(affine()))


def test_the_change_by_hand(sub):
    block = affine()
    with torch.no_grad():
        y, log_det = block(sub.particles.points)
        moved = sub.particles.moved(y, log_det)
        found = sub.change(block, moved)
    x = sub.particles.points
    each = (y.square() - x.square()).sum(1) / 2 - log_det
    each = each + ((y - x - 0.3).square().sum(1) - 2 * 0.3**2) / (2 * H)
    assert found.value == pytest.approx(float(each.mean()), rel=1e-12)
    assert found.error == pytest.approx(float(each.std()) / math.sqrt(50), rel=1e-12)


def test_stationarity_holds_at_an_exact_step_and_only_there(kl):
    m, c = torch.tensor([1.0]).double(), torch.tensor([[0.6]]).double()
    nodes = gaussian_nodes(m, c)
    mean, covariance = jko_step(m, c, torch.zeros(1).double(), torch.eye(1).double(), H)
    block = AffineBlock(1).double()
    with torch.no_grad():
        block.matrix.copy_((covariance / c).sqrt())
        block.shift.copy_(mean - block.matrix[0] * m)
    sub = Subproblem(nodes, nodes.points, H, kl)
    condition = sub.stationarity(block)
    y, x, s = block.move(nodes.points).detach(), nodes.points, float(covariance)
    assert torch.equal(condition.displacement, y - x)
    gradient = y - (y - mean) / s  # of KL to N(0, 1) at N(mean, s)
    assert float((gradient + condition.displacement / H).abs().max()) < 1e-10
    assert float((sub.gradient(kl, condition.particles) - gradient).abs().max()) < 1e-10
    off = float((nodes.weights @ (y - x).square()).sqrt()) / H
    assert condition.speed == pytest.approx(off, rel=1e-12)
    assert off > 0.1


def test_a_step_of_a_part_does_not_tell_the_gradient_of_the_whole(sub, kl):
    assert sub.gradient(kl, sub.particles) is not None
    assert sub.gradient(kl + wopt.build("objective", "entropy"), sub.particles) is None


def test_points_alone_need_no_log_det():
    class NoLogDet(AffineBlock):
        def forward(self, x):
            raise AssertionError("the log-det was computed")

        def move(self, x):
            return x

    moment = wopt.build("objective", {"name": "potential"})
    x = particles()
    loss = Subproblem(x, x.points, H, moment).loss(NoLogDet(2).double())
    assert float(loss) == float(moment.energy(x))


def test_the_audit_is_used_where_it_is_asked_for(sub):
    class Audited(AffineBlock):
        def audit(self, x):
            y, log_det = self(x)
            return y, log_det + 1

    block = Audited(2).double()
    one, other = (sub.at(block, audit=a).log_det.detach() for a in (False, True))
    torch.testing.assert_close(other, one + 1)


# Objectives.


def test_the_energy_is_the_mean_of_contributions():
    class Half(Objective):
        def contributions(self, particles):
            return particles.points.square().sum(1) / 2

    nodes = gaussian_nodes(torch.ones(2).double(), torch.eye(2).double())
    assert float(Half().energy(nodes)) == pytest.approx(2.0, rel=1e-12)


def test_an_objective_that_says_nothing_is_refused_at_its_definition():
    with pytest.raises(wopt.PluginError, match="objective Mute does not say what its energy is"):

        class Mute(Objective):
            def terms(self, particles):
                return {}


def test_an_objective_whose_contributions_are_none_says_so():
    class Void(Objective):
        def contributions(self, particles):
            return None

    with pytest.raises(wopt.PluginError, match=r"objective Void .* define contributions"):
        Void().energy(particles())


# Means.


def test_means_and_errors_by_hand():
    values = torch.tensor([1.0, 2.0, 3.0, 6.0])
    found = mean_and_error(values)
    assert found.value == 3.0
    assert found.error == pytest.approx(math.sqrt(14 / 3) / 2, rel=1e-6)
    assert math.isnan(mean_and_error(values[:1]).error)
    assert mean_and_error(values, torch.tensor([0.5, 0.5, 0.0, 0.0])) == (1.5, 0.0)
