"""The block mixture: its image is the mixture, and the variance of log weights finds it."""

import math

import pytest
import torch

import wopt
from wopt_blocks import FittedMixture, Mixture
from wopt_blocks.expectation import fitted_mixture

MEANS = torch.tensor([[-4.0, 0.0, 1.0], [3.0, 3.0, -1.0], [0.0, -5.0, 0.0]]).double()


def law():
    rng = torch.Generator().manual_seed(3)
    roots = 0.4 * torch.randn(3, 3, 3, generator=rng).double() + 0.5 * torch.eye(3).double()
    weights = torch.tensor([0.5, 0.3, 0.2]).double()
    return weights, MEANS, roots @ roots.transpose(1, 2) + 0.05 * torch.eye(3).double()


def log_prob(x):
    weights, means, covariances = law()
    parts = torch.distributions.MultivariateNormal(means, covariances)
    return torch.logsumexp(parts.log_prob(x[:, None]) + weights.log(), 1)


def to_the_mixture():
    """Return a block whose image of N(0, I) is the mixture."""
    block = Mixture(3, components=3).double()
    weights, means, covariances = law()
    factors = torch.linalg.cholesky(covariances)
    block.logits.data = weights.log()
    block.means.data = means
    block.factors.data = factors.tril(-1) + factors.diagonal(dim1=1, dim2=2).log().diag_embed()
    return block.requires_grad_(False)


@pytest.fixture(scope="module")
def z():
    return torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)).double()


def test_the_image_of_a_gaussian_is_the_mixture(z):
    block = to_the_mixture()
    y, log_det = block(z)
    start = -z.square().sum(1) / 2 - 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(start - log_det, log_prob(y))
    back, inverse = block.inverse(y)
    torch.testing.assert_close(back, z, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(inverse, -log_det, atol=1e-7, rtol=1e-7)
    owner = torch.cdist(y, MEANS).argmin(1)
    shares = torch.bincount(owner).double() / len(y)
    assert (shares - law()[0]).abs().max() < 4 * (0.25 / len(y)) ** 0.5  # components overlap little


def test_far_out_it_still_returns():
    far = 8.0 * torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0], [0.0, 4.0, -4.0]]).double()
    block = to_the_mixture()
    torch.testing.assert_close(block.inverse(block(far)[0])[0], far, atol=1e-6, rtol=1e-6)


def test_derivatives_are_those_of_differences(z):
    block = to_the_mixture().requires_grad_()
    x = z[:6].clone().requires_grad_()
    torch.manual_seed(0)

    def value():
        y, log_det = block(x)
        return (y.sin().sum(1) + log_det).sum()

    at = [x, block.means, block.factors, block.logits]
    gradients = torch.autograd.grad(value(), at)
    for tensor, gradient in zip(at, gradients, strict=True):
        way = torch.randn_like(tensor)
        way = way.tril() if tensor is block.factors else way
        h, ends = 1e-6, []
        for sign in (1, -1):
            with torch.no_grad():
                tensor += sign * h * way
                ends.append(float(value()))
                tensor -= sign * h * way
        slope = (ends[0] - ends[1]) / (2 * h)
        assert float((gradient * way).sum()) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_expectation_and_maximisation_find_modes(z):
    parts = [0.1 * z[:600] + MEANS[0], 0.3 * z[600:900] + MEANS[1], 0.2 * z[900:1000] + MEANS[2]]
    weights, means, factors = fitted_mixture(torch.cat(parts), 3)
    order = torch.cdist(MEANS, means).argmin(1)
    torch.testing.assert_close(
        weights[order], torch.tensor([0.6, 0.3, 0.1]).double(), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(means[order], MEANS, atol=0.1, rtol=0)
    spread = factors.diagonal(dim1=1, dim2=2).mean(1)[order]
    torch.testing.assert_close(spread, torch.tensor([0.1, 0.3, 0.2]).double(), atol=0.03, rtol=0)


START = {"dim": 2, "n_train": 400, "n_valid": 1000, "n_test": 100, "matched": True}
MODES = {"means": [[-4.0, 0.0], [4.0, 1.0]], "scale": [0.3, 0.6], "weights": [0.25, 0.75]}
CONFIG = {
    "seed": 0,
    "dtype": "float64",
    "source": {"name": "gaussian", **START},
    "objective": {"name": "kl", "target": {"name": "mixture", **MODES}},
    "scheme": {"name": "jko", "step_size": 1e12},
    "block": {"name": "mixture", "components": 2},
    "solver": {"optimiser": "variance", "iterations": 40, "rounds": 2, "chains": 200},
    "stop": {"steps": 1},
    "certify": {"enabled": False, "draws": 2000, "rejection": 2},
}


def test_two_far_modes_are_found_to_many_digits(tmp_path):
    found = wopt.run(CONFIG, tmp_path / "run").sampler
    assert found.reliable, found.warnings
    # the family holds the target, so nothing is left but where L-BFGS ended
    assert found.truth.log_z_error < 1e-4
    assert found.truth.elbo_error < 1e-4
    assert found.corrected.log_z_error < 1e-4
    for mode, true in zip(found.mode_weights, (0.25, 0.75), strict=True):
        assert abs(mode.weighted - true) < 4 * (true * (1 - true) / 2000) ** 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"solver": {**CONFIG["solver"], "chains": 0}}, "solver.chains"),
        ({"scheme": {"name": "jko", "step_size": 1.0}}, "step_size = 1e12"),
    ],
)
def test_variance_says_what_it_needs(tmp_path, change, words):
    with pytest.raises(wopt.CapabilityError, match=words):
        wopt.run({**CONFIG, **change}, tmp_path / "run")


def test_a_mixture_that_is_fitted_to_particles_is_their_law(z):
    """Of 6,000 rows of three Gaussians: so many are found in each fold; KL is of estimation."""
    block = to_the_mixture()
    rng = torch.Generator().manual_seed(5)
    x = block(torch.randn(6000, 3, generator=rng).double())[0]
    fitted = FittedMixture(3).double()
    fitted.initialise(x)
    assert int((fitted.inner.logits > -100).sum()) in (5 * 3 + 3, 5 * 4 + 3)
    far = fitted(torch.full((1, 3), 1e4).double())
    assert -far[1] + far[0].square().sum() / 2 < 100
    fresh = block(z)[0]
    with torch.no_grad():
        y, log_det = fitted(fresh)
    log_q = -y.square().sum(1) / 2 - 1.5 * math.log(2 * math.pi) + log_det
    assert abs(float((log_prob(fresh) - log_q).mean())) < 0.03
    torch.testing.assert_close(fitted.inverse(y[:500])[0], fresh[:500], atol=1e-6, rtol=1e-6)


def test_thin_groups_of_few_rows_stay_thin():
    """Two Gaussians of 100 rows each, a hundredth as wide in half of the eight columns."""
    rng = torch.Generator().manual_seed(2)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=rng).double())[0]
    root = turn * torch.tensor([1.0] * 4 + [0.01] * 4).double()
    group = torch.randn(2400, 8, generator=rng).double() @ root.T
    x = torch.where((torch.arange(2400) % 2 == 0)[:, None], group, group.flip(1) + 2)
    fitted = FittedMixture(8).double()
    fitted.initialise(x[:200])
    with torch.no_grad():
        y, log_det = fitted(x[200:])
    log_q = -y.square().sum(1) / 2 - 4 * math.log(2 * math.pi) + log_det
    law = torch.distributions.MultivariateNormal(torch.zeros(8).double(), root @ root.T)
    log_p = torch.logaddexp(law.log_prob(x[200:]), law.log_prob((x[200:] - 2).flip(1)))
    excess = float((log_p - math.log(2) - log_q).mean())
    # 2 x 44 + 1 parameters of 200 rows cost 89/400 = 0.22 nats at best.
    assert 0 < excess < 2 * 0.22
