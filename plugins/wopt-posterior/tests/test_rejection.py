"""Rejection and resampling: the closed form, KL that never rises, and what a report says of it."""

import math

import pytest
import torch

import wopt
from wopt.data.transform import AffineTransform
from wopt.flow import Chain, Flow, Inverse
from wopt.testing import AffineBlock, NormalTarget
from wopt_measures import Rejection, sliced_energy_distance
from wopt_posterior.diagnostics import measure_flow
from wopt_posterior.diagnostics.report import SamplerTruth

LAWS = {
    "wide": lambda x: -((x - 0.5) ** 2) / (2 * 1.5**2) - math.log(1.5) + 0.7,
    "two modes": lambda x: torch.logaddexp(-2 * (x - 1.5) ** 2, 0.3 - 2 * (x + 1) ** 2),
    "narrow": lambda x: -((x + 1) ** 2) / (2 * 0.2**2) + 3,
}
CELL = 0.002


def grid():
    """Return points, log p of N(0, 1) and what sums to one of it."""
    x = torch.arange(-12, 12, CELL, dtype=torch.float64)
    return x, -x.square() / 2 - math.log(2 * math.pi) / 2


def quantised(log_p):
    """Return indices of draws of a law on the grid."""
    rng = torch.Generator().manual_seed(0)
    return torch.multinomial(log_p.exp(), 20_000, replacement=True, generator=rng)


def kl(log_p, log_r):
    log_z = float(log_r.logsumexp(0)) + math.log(CELL)
    return float((log_p.exp() * (log_p - log_r + log_z)).sum()) * CELL


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_kl_never_rises_and_mass_stays(name, rate):
    x, log_p = grid()
    log_r = LAWS[name](x)
    log_w = log_r - log_p
    before, c, kept = kl(log_p, log_r), [], []
    now = log_p
    for k in range(1, 6):
        # the exact expectation of alpha under p_k, on the grid; c from draws, which may be any
        fit = Rejection.fitted((log_r - now)[quantised(now)], 1, rate)
        c.append(fit.log_c[0])
        alpha = (log_r - now - c[-1]).clamp_max(0).exp()
        kept.append(float((now.exp() * alpha).sum()) * CELL)
        after = now + torch.log(alpha + 1 - kept[-1])  # the closed form, step by step
        output = log_p + Rejection(tuple(c), tuple(kept)).log_factor(log_w)
        torch.testing.assert_close(output, after)
        assert float(output.exp().sum()) * CELL == pytest.approx(1, abs=1e-9)
        assert kl(output, log_r) < before - 1e-9, k
        before, now = kl(output, log_r), output


def test_draws_have_the_density_that_is_told():
    rng = torch.Generator().manual_seed(0)
    log_r = LAWS["two modes"]

    def draw(n):
        x = torch.randn(n, 1, generator=rng, dtype=torch.float64)
        log_p = -x[:, 0].square() / 2 - math.log(2 * math.pi) / 2
        return x, log_r(x[:, 0]) - log_p

    fit = Rejection.fitted(draw(100_000)[1], 4, 0.3)
    n = 40_000
    x, log_w = fit.sample(draw, n, rng)
    again = log_r(x[:, 0]) + x[:, 0].square() / 2 + math.log(2 * math.pi) / 2
    torch.testing.assert_close(log_w, again)
    at, log_p = grid()
    density = (log_p + fit.log_factor(log_r(at) - log_p)).exp() * CELL
    for low, high in ((-9, -1), (-1, 0), (0, 1.5), (1.5, 9)):
        fraction = float(((x > low) & (x < high)).double().mean())
        true = float(density[(at > low) & (at < high)].sum())
        # E alpha was estimated at 100,000 draws, beside the error of the share
        assert abs(fraction - true) < 4.5 * math.sqrt(true * (1 - true) / n) + 0.006
    assert fit.proposals == pytest.approx(1.3**4)


def test_a_perfect_model_is_left_alone():
    fit = Rejection.fitted(torch.zeros(1000), 3, 0.2)
    assert fit.log_factor(torch.zeros(5)).abs().max() < 1e-12
    assert Rejection.from_dict(fit.to_dict()) == fit


@pytest.fixture(scope="module")
def found():
    """A model a fifth too wide of N(0, I), measured with and without rejection."""
    block = AffineBlock(2).double()
    block.matrix.data = 1.2 * torch.eye(2).double()
    start = torch.zeros(2).double(), torch.eye(2).double()
    law = torch.distributions.MultivariateNormal(*start)
    rows = torch.arange(20).reshape(10, 2).double()
    chain = Chain([block], AffineTransform.fit(rows, "none"))
    target = NormalTarget([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    return measure_flow(Flow(Inverse(chain), law), target, 5000, seed=1, steps=6)


def test_errors_are_against_the_truth(found):
    truth = found.truth
    assert truth.log_z == 0
    assert truth.log_z_error == abs(found.log_z)
    assert truth.elbo_error == abs(found.elbo)
    exact = 1.2**2 - 1 - 2 * math.log(1.2)  # KL(N(0, 1.44 I) | N(0, I)) in the plane
    assert truth.elbo_error == pytest.approx(exact, abs=4 * found.elbo_error)
    # E|X - Y| - E|X - X'|/2 - E|Y - Y'|/2 of isotropic planar Gaussians is sqrt(pi/2) times
    # sqrt(a^2 + b^2) - a/sqrt 2 - b/sqrt 2; a perfect sampler has E|X - X'|/n = 3.5e-4 on average
    far = math.sqrt(math.pi / 2) * (math.sqrt(1 + 1.44) - 2.2 / math.sqrt(2))
    assert truth.energy_distance == pytest.approx(far, rel=0.25)
    assert truth.energy_distance_exact < 2e-3 < truth.energy_distance
    assert truth.energy_distance_weighted < 2.5e-3
    assert SamplerTruth.from_dict(truth.to_dict()) == truth


def test_rejection_comes_nearer(found):
    output = found.corrected
    assert (output.steps, output.draws) == (6, 5000)
    assert output.log_z_error == abs(output.elbo)
    assert output.log_z_error < 0.1 * found.truth.elbo_error
    assert output.energy_distance < 0.5 * found.truth.energy_distance
    assert output.proposals == pytest.approx(1.2**6)


def test_sliced_energy_distance_is_that_of_pairs():
    x, y = (
        torch.randn(400, 3, generator=torch.Generator().manual_seed(k)).double() for k in (0, 1)
    )
    y = y + 0.5
    pairs = [torch.cdist(a, b).mean() for a, b in ((x, y), (x, x), (y, y))]
    exact = float(pairs[0] - pairs[1] / 2 - pairs[2] / 2)
    assert sliced_energy_distance(x, y, 4000) == pytest.approx(exact, rel=0.05)


def test_errors_need_a_truth():
    class Unknown(wopt.Target):
        provides = wopt.Capability.POTENTIAL

        def potential(self, x):
            return x.square().sum(1) / 2

    law = torch.distributions.MultivariateNormal(torch.zeros(1).double(), torch.eye(1).double())
    chain = Chain([], AffineTransform.fit(torch.arange(9.0)[:, None].double(), "none"))
    report = measure_flow(Flow(Inverse(chain), law), Unknown(), 1000)
    assert (report.truth, report.corrected, report.figures) == (None, None, {})
