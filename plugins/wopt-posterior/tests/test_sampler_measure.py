"""Samplers measured: closed forms between Gaussians, the funnel, mixtures with lost modes."""

import json
import math

import pytest
import torch
from by_hand import normal as rows

import wopt
from wopt.testing import NormalTarget, gaussian_kl
from wopt_posterior.diagnostics import SamplerReport, measure_flow, measure_sampler
from wopt_posterior.reference import Reference, reference_of

KEYS = {
    "elbo_error", "eubo_error", "missing", "missing_error", "ascents",
    "elbo", "eubo", "log_z", "log_z_error", "ess", "k_hat", "k_hat_threshold", "reliable",
    "means", "means_error", "sds", "sds_error", "mode_weights", "lost_modes", "doubts", "draws",
    "truth", "corrected", "figures",
}  # fmt: skip
FUNNEL = wopt.build("target", {"name": "funnel", "dim": 10})


class Shifted(NormalTarget):
    """A Gaussian whose potential lacks a constant: log Z = c."""

    provides = wopt.Capability.POTENTIAL | wopt.Capability.SCORE | wopt.Capability.TARGET_SAMPLES

    def __init__(self, mean, covariance, c):
        super().__init__(mean, covariance)
        self.c = c

    def potential(self, x):
        return super().potential(x) - self.c


def of_gaussian(n, mean, covariance, seed=0):
    """Return draws of a Gaussian model and its log-density."""
    law = torch.distributions.MultivariateNormal(mean, covariance)
    x = mean + rows(n, len(mean), seed) @ torch.linalg.cholesky(covariance).T
    return x, law.log_prob


@pytest.fixture(scope="module")
def pair():
    m = torch.tensor([0.3, -0.2, 0.0]).double()
    c = torch.tensor([[1.3, 0.2, 0.0], [0.2, 1.1, 0.1], [0.0, 0.1, 1.2]]).double()
    n, s = [0.0, 0.0, 0.2], [[1.0, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 1.1]]
    target = Shifted(n, s, 2.5)
    x, log_prob = of_gaussian(20_000, m, c)
    exact = Reference.exact(target.sample(20_000, 3, torch.Generator().manual_seed(1)))
    found = measure_sampler(target, x, log_prob(x), reference=exact, model=log_prob)
    reverse = gaussian_kl(m, c, target.mean, target.covariance)
    forward = gaussian_kl(target.mean, target.covariance, m, c)
    return found, target, reverse, forward


def test_both_sides_of_log_z_between_gaussians(pair):
    found, _, reverse, forward = pair
    assert abs(found.elbo - (2.5 - reverse)) < 4 * found.elbo_error
    assert abs(found.eubo - (2.5 + forward)) < 4 * found.eubo_error
    assert abs(found.log_z - 2.5) < 4 * found.log_z_error
    assert found.elbo < found.log_z < found.eubo
    assert found.reliable
    assert found.lost_modes == ()


def test_moments_of_the_target_by_weights(pair):
    found, target, *_ = pair
    for k in range(3):
        assert abs(found.means[k] - float(target.mean[k])) < 4 * found.means_error[k]
        sd = float(target.covariance[k, k].sqrt())
        assert abs(found.sds[k] - sd) < 4 * found.sds_error[k]
        assert found.means_error[k] < 0.02


def test_what_is_written(pair):
    found, *_ = pair
    table = json.loads(json.dumps(found.to_dict()))
    assert set(table) == KEYS
    assert SamplerReport.from_dict(table) == found
    assert table["reliable"] is True
    assert table["mode_weights"] is None
    assert table["k_hat_threshold"] == 0.7
    assert "ELBO" in found.text()
    assert "EUBO" in found.text()


def test_without_exact_draws_there_is_no_upper_side():
    target = Shifted([0.0], [[1.0]], 0.0)
    x, log_prob = of_gaussian(2000, torch.zeros(1).double(), 1.2 * torch.eye(1).double())
    found = measure_sampler(target, x, log_prob(x))
    assert found.eubo is None
    assert found.to_dict()["eubo"] is None


def test_a_poor_funnel_is_caught():
    """A Gaussian of the funnel's own moments: log Z looks near, k-hat and EUBO say it is not."""
    target = FUNNEL
    exact = target.sample(5000, 10, torch.Generator().manual_seed(2))
    c = torch.diag(torch.tensor([4.0] + [2.0] * 9).double())
    x, log_prob = of_gaussian(5000, torch.tensor([1.0] + [0.0] * 9).double(), c)
    reference = Reference.exact(exact)
    found = measure_sampler(target, x, log_prob(x), reference=reference, model=log_prob)
    assert found.k_hat > 0.7
    assert found.eubo > 100
    assert not found.reliable
    assert "k-hat" in found.text()


def test_a_good_funnel_is_reliable():
    x = FUNNEL.sample(5000, 10, torch.Generator().manual_seed(3))
    found = measure_sampler(FUNNEL, x, -FUNNEL.potential(x))
    assert found.reliable
    assert found.log_z == pytest.approx(0, abs=1e-12)


def mixture(d, seed=0, weights=None):
    means = (6 * rows(10, d, seed)).tolist()
    return wopt.build("target", {"name": "mixture", "means": means, "weights": weights})


def unnormalised(target):
    """Return the target as one whose constant and samples are not known."""
    from wopt_measures import PotentialTarget

    return PotentialTarget(target.potential)


@pytest.mark.parametrize("d", [5, 20])
def test_lost_modes_are_found_that_ess_and_k_hat_do_not_see(d):
    full = mixture(d)
    x, log_prob = of_gaussian(5000, full.parts[0].mean, torch.eye(d).double())
    reference = reference_of(unnormalised(full), d, 0, wopt.Budget(), passes=1)
    assert abs(reference.log_z) < 5 * reference.log_z_error
    found = measure_sampler(unnormalised(full), x, log_prob(x), reference=reference, model=log_prob)
    assert found.ess > 4990  # looks perfect
    assert found.log_z == pytest.approx(math.log(0.1), abs=0.01)
    assert found.missing == pytest.approx(0.9, abs=5 * found.missing_error)
    assert len(found.lost_modes) >= 6
    assert not found.reliable
    assert "almost no draw, where x" in found.text()
    means = torch.stack([part.mean for part in full.parts])
    for mode in found.lost_modes:
        away = (means - torch.tensor(mode.location).double()).norm(dim=1).min()
        assert float(away) < 0.5 * math.sqrt(d)  # the mean of some fifty points
        assert mode.model_fraction == 0


def test_a_narrow_mode_is_found_and_weighed():
    """Tempering alone needs 100,000 points for it: its volume is 6e-6 of the other's."""
    apart = 10 * torch.eye(10)[0].double()

    def log_prob(x):
        wide = math.log(0.8) - x.square().sum(1) / 2
        narrow = math.log(0.2) - 10 * math.log(0.3) - (x - apart).square().sum(1) / 0.18
        return torch.logaddexp(wide, narrow) - 5 * math.log(2 * math.pi)

    target = wopt.build("target", {"name": "potential", "function": lambda x: -log_prob(x)})
    reference = reference_of(target, 10, 0, wopt.Budget(), passes=1)
    weight, error = reference.mean((reference.points[:, 0] > 5).double())
    assert abs(float(weight) - 0.2) < 4 * float(error) < 0.2
    assert abs(reference.log_z) < 4 * reference.log_z_error
    x, model = of_gaussian(4000, torch.zeros(10).double(), torch.eye(10).double())
    names = [f"b{j}" for j in range(10)]
    found = measure_sampler(target, x, model(x), reference=reference, model=model, names=names)
    assert not found.reliable
    assert "where b0 is" in found.warnings[0]
    assert found.missing == pytest.approx(0.2, abs=4 * found.missing_error)


def test_exact_draws_and_a_known_constant_see_lost_modes():
    full = mixture(5)
    x, log_prob = of_gaussian(4000, full.parts[0].mean, torch.eye(5).double())
    exact = Reference.exact(full.sample(4000, 5, torch.Generator().manual_seed(1)))
    found = measure_sampler(full, x, log_prob(x), reference=exact, model=log_prob)
    warnings = " ".join(found.warnings)
    assert "known to be 0" in warnings
    assert "reference sample" in warnings
    assert found.eubo > 50
    weights = found.mode_weights
    assert [w.target for w in weights] == pytest.approx([0.1] * 10)
    assert weights[0].model == pytest.approx(1, abs=1e-3)
    assert max(w.model for w in weights[1:]) < 1e-3


@pytest.mark.parametrize("d", [2, 10])
def test_a_perfect_model_lacks_nothing(d):
    """Also where the reference sample has the modes' weights only roughly."""
    weights = [0.01, 0.02, 0.03, 0.04, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    full = mixture(d, 0, weights)
    x = full.sample(4000, d, torch.Generator().manual_seed(0))
    reference = reference_of(unnormalised(full), d, 0, wopt.Budget(), passes=1)
    model = full.log_prob
    found = measure_sampler(full, x, model(x), reference=reference, model=model)
    assert found.lost_modes == ()
    assert found.reliable
    for k, one in enumerate(found.mode_weights):
        assert abs(one.model - weights[k]) < 5 * one.model_error + 1e-3


def test_draws_that_overflow_have_no_weight():
    target = NormalTarget([0.0], [[1.0]])
    x = rows(1000, 1)
    log_q = -target.potential(x)
    x[0], log_q[1] = math.inf, math.nan
    found = measure_sampler(target, x, log_q)
    assert found.log_z == pytest.approx(math.log(0.998), abs=1e-9)
    assert found.elbo == -math.inf
    assert found.means[0] == pytest.approx(0, abs=0.1)
    with pytest.raises(wopt.DataError, match="none of 1000 draws"):
        measure_sampler(target, x * math.nan, log_q)


@pytest.fixture
def flow():
    """Return N(0, A A^T) as N(0, I) pushed forward by A."""
    from wopt.data.transform import AffineTransform
    from wopt.flow import Chain, Flow, Inverse
    from wopt.testing import AffineBlock

    block = AffineBlock(2).double()
    block.matrix.data = torch.tensor([[1.1, 0.0], [0.2, 0.9]]).double()
    eye = torch.eye(2).double()
    law = torch.distributions.MultivariateNormal(torch.zeros(2).double(), eye)
    chain = Chain([block], AffineTransform.fit(rows(10, 2), "none"))
    return Flow(Inverse(chain), law)


def test_a_flow_is_measured_against_its_target(flow):
    target = Shifted([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], -1.0)
    found = measure_flow(flow, target, 4000, seed=1)
    assert isinstance(found, SamplerReport)
    assert abs(found.log_z + 1) < 4 * found.log_z_error
    a = flow.blocks[0].matrix.detach()
    eye, zero = torch.eye(2).double(), torch.zeros(2).double()
    assert abs(found.elbo - (-1 - gaussian_kl(zero, a @ a.T, zero, eye))) < 4 * found.elbo_error
    assert abs(found.eubo - (-1 + gaussian_kl(zero, eye, zero, a @ a.T))) < 4 * found.eubo_error


def test_what_cannot_be_measured_is_refused(flow):
    target = NormalTarget([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(wopt.CapabilityError, match="push_forward"):
        measure_flow(wopt.Flow(flow.chain, target), target, 100)
    with pytest.raises(wopt.CapabilityError, match="POTENTIAL"):
        measure_flow(flow, None, 100)
