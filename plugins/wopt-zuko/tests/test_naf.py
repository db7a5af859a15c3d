"""Neural autoregressive flows claim likelihoods above the truth where they saturate: the audit."""

import math

import pytest
import torch
import zuko
from torch import nn
from zuko.lazy import UnconditionalDistribution, UnconditionalTransform
from zuko.transforms import DependentTransform, SoftclipTransform

import wopt
from wopt.testing import LawError, check_block
from wopt_certify.mass import total_mass
from wopt_zuko import NAFBlock, from_zuko

DEPTH = 22.0
NORMAL = torch.distributions.Normal(0.0, 1.0)
ENTROPY = 0.5 * math.log(2 * math.pi * math.e)


def saturate(net):
    """Make zuko's monotone network exp(x) in exact arithmetic, which float32 rounds to 0.

    W (ELU(x - c) + 1) with W = exp(c): below -17 float32 has ELU = -1 and its slope, exp(x - c),
    all the same.
    """
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net[0].weight[:, 0, 0], net[0].bias[:, 0] = 1.0, -DEPTH
        net[2].weight[:, 0, 0], net[2].bias[:, 0] = math.exp(DEPTH), math.exp(DEPTH)


class Saturated(NAFBlock):
    """A neural autoregressive map that claims log(1 + exp(x)) for the identity, in float32."""

    def __init__(self, dim: int):
        super().__init__(dim, transforms=1, hidden=(4,), monotone=(2,), signal=1)
        saturate(self.transform.transforms[0].univariate.net.network)


@pytest.fixture
def x():
    return torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))


def log_likelihood(y, log_det):
    return float((NORMAL.log_prob(y).sum(1) + log_det).mean())


@torch.no_grad()
def test_a_saturated_net_beats_the_truth_and_the_audit_says_so(x):
    block, truth = Saturated(2), -2 * ENTROPY
    claimed, audited = log_likelihood(*block(x)), log_likelihood(*block.audit(x))
    # The map is x itself, and E log(1 + exp(x)) = 0.81 a coordinate is claimed besides.
    assert claimed == pytest.approx(truth + 2 * 0.806, abs=0.1)
    assert audited < truth - 1
    # Where float64 saturates too, so do the differences: there is no density at all.
    deep = Saturated(2).double()
    net = deep.transform.transforms[0].univariate.net.network
    net[0].bias[:, 0], net[2].weight[:, 0, 0], net[2].bias[:, 0] = -44.0, math.exp(44), math.exp(44)
    assert log_likelihood(*deep(x.double())) > truth + 1
    assert log_likelihood(*deep.audit(x.double())) < truth + 0.1


def test_the_guard_rejects_it(x):
    solution = wopt.solve(
        wopt.Particles.start(x[:2000]),
        valid=wopt.Particles.start(x[2000:]),
        objective="kl",
        scheme={"name": "jko", "step_size": 10.0},
        block=Saturated,
        solver=wopt.InnerSolver(iterations=1, learning_rate=1e-9),
        stop=wopt.Stop(steps=1),
        guard=wopt.Guard(retries=0),
    )
    assert solution.status != "done"
    assert "likelihood" in solution.reason, solution.reason


def test_the_laws_of_blocks_tell_them_apart():
    assert "audit_agrees" in check_block(NAFBlock(2, hidden=(8,)), 2)
    with pytest.raises(LawError, match="identity_when_new"):
        check_block(Saturated(2), 2)


@torch.no_grad()
def test_the_mass_of_what_is_claimed_and_of_the_audit(x):
    block = Saturated(1)
    claimed = total_mass(lambda p: _density(*block(p.float())), x[:1000, :1])
    assert claimed.value > 1.5
    assert not claimed.is_one
    assert "too high" in claimed.text()
    audited = total_mass(lambda p: _density(*block.audit(p)), x[:1000, :1])
    assert audited.is_one
    healthy = wopt.build("block", {"name": "naf", "hidden": [8]}).build(dim=2).double()
    for parameter in healthy.parameters():
        parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator()).double())
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1)).double()
    assert total_mass(lambda p: _density(*healthy(p)), healthy.inverse(z)[0]).is_one


def _density(y, log_det):
    return NORMAL.log_prob(y).sum(1) + log_det


@torch.no_grad()
def test_a_trained_one_is_inverted_far_out(x):
    """zuko's own inverse looks between -10 and 10; this one wherever the root is."""
    torch.manual_seed(0)
    block = NAFBlock(2, hidden=(8,)).double()
    rng = torch.Generator().manual_seed(3)
    for parameter in block.parameters():
        parameter.add_(0.5 * torch.randn(parameter.shape, generator=rng).double())
    z = 100 * x[:200].double()
    back, log_inverse = block.inverse(z)
    assert float(back.abs().max()) > 10
    y, log_det = block(back)
    torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(log_det, -log_inverse, rtol=1e-10, atol=1e-10)


def test_the_inverse_has_gradients(x):
    block = NAFBlock(2, hidden=(8,), monotone=(4,), signal=2).double()
    rng = torch.Generator().manual_seed(3)
    for parameter in block.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=rng).double()
    y = x[:4].double().requires_grad_()
    back, _ = block.differentiable_inverse(y)
    there = block.move(back.detach().requires_grad_(False))
    assert torch.allclose(there, y, atol=1e-10)
    jacobian = torch.autograd.functional.jacobian(
        lambda p: block.differentiable_inverse(p[None])[0][0], y[0].detach()
    )
    forward = torch.autograd.functional.jacobian(lambda p: block.move(p[None])[0], back[0].detach())
    torch.testing.assert_close(jacobian, forward.inverse(), rtol=1e-8, atol=1e-8)


@torch.no_grad()
def test_flows_of_zuko_are_audited(x):
    """zuko's own NAF: likelihoods agree with differences, but samples are of another law."""
    torch.manual_seed(0)
    flow = from_zuko(zuko.flows.NAF(2, transforms=2, hidden_features=[16], activation=nn.ELU))
    gap = (flow.log_prob(x) - flow.log_prob(x, audit=True)).abs()
    assert float(gap.max()) < 1e-3
    back, _ = flow.inverse(10 * x)
    assert float((flow(back)[0] - 10 * x).norm(dim=1).max()) > 1  # clipped at its bound


@torch.no_grad()
def test_a_saturated_flow_of_zuko_is_caught(x):
    given = zuko.flows.NAF(
        2, transforms=1, signal=1, hidden_features=[4], network={"hidden_features": [2]}
    )
    saturate(given.transform.transforms[0].univariate.network)
    flow = from_zuko(given)
    # f = exp(x) - 0 in exact arithmetic, 0 in float32, so log N(0) + x is claimed.
    claimed, audited = float(flow.log_prob(x).mean()), float(flow.log_prob(x, audit=True).mean())
    assert claimed > -2 * ENTROPY + 0.5
    assert audited < -2 * ENTROPY


@torch.no_grad()
def test_a_map_that_is_not_onto_has_too_little_mass(x):
    """x/(1 + |x|/B) has the image (-B, B), P(|z| < 1) = 0.683 of a normal law."""
    clip = DependentTransform(SoftclipTransform(1.0), 1)
    flow = from_zuko(zuko.lazy.Flow(UnconditionalTransform(lambda: clip), _normal(1)))
    torch.testing.assert_close(
        flow.log_prob(x[:, :1]), flow.log_prob(x[:, :1], audit=True), rtol=0, atol=1e-3
    )
    # Its tails are heavy, 1/x^2, so there is a wide law to draw from.
    mass = total_mass(flow.log_prob, 3 * x[:1000, :1])
    assert mass.value == pytest.approx(0.683, abs=0.06)
    assert not mass.is_one
    assert "not onto" in mass.text()


def _normal(dim):
    return UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(dim), torch.ones(dim)
    )
