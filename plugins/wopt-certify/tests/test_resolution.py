"""KL at a resolution, against closed forms of blurred Gaussians."""

import math

import pytest
import torch
from by_hand import normal

import wopt
from wopt.testing import NormalTarget
from wopt_certify.resolution import blurred_density, resolutions
from wopt_testing.gaussian import gaussian_kl


def test_a_gaussian_target_is_blurred_in_closed_form():
    target = wopt.build("target", {"name": "gaussian", "mean": [1.0, 0.0], "scale": [1.0, 2.0]})
    log_q = blurred_density(target, 2, 0.5)
    law = torch.distributions.Normal(torch.tensor([1.0, 0.0]), torch.tensor([1.25, 4.25]).sqrt())
    x = normal(20, 2, 0)
    assert torch.allclose(log_q(x), law.log_prob(x).sum(1).double(), atol=1e-6)


def test_a_mixture_says_its_own_blur():
    means = [[-1.0, 0.0], [1.0, 0.5]]
    covariances = [[[1.0, 0.3], [0.3, 0.5]], [[0.2, 0.0], [0.0, 1.0]]]
    options = {"name": "mixture", "means": means, "weights": [1.0, 3.0]}
    wide = [[[v + 0.25 * (i == j) for j, v in enumerate(row)] for i, row in enumerate(c)]
            for c in covariances]  # fmt: skip
    target, by_hand = (
        wopt.build("target", {**options, "covariances": c}) for c in (covariances, wide)
    )
    x = normal(20, 2, 0)
    assert torch.allclose(blurred_density(target, 2, 0.5)(x), -by_hand.potential(x))


def test_an_exact_mixture_is_within_its_limits():
    target = wopt.build("target", {"name": "mixture", "means": [[-1.0], [1.0]]})
    x = target.sample(4000, 1, torch.Generator().manual_seed(0))
    (found,) = resolutions(x, target, [0.5])
    assert found.kl_low == 0
    assert 0 < found.kl_high < 0.03


def test_what_has_no_closed_form_has_no_resolution():
    class Quartic(wopt.Target):
        provides = wopt.Capability.POTENTIAL | wopt.Capability.NORMALISED

        def potential(self, x):
            return x.pow(4).sum(1) + math.log(1.8128)

    assert blurred_density(Quartic(), 1, 0.5) is None
    assert resolutions(normal(500, 1, 0), Quartic()) is None


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_both_limits_hold_as_often_as_they_say(sigma):
    """p = N((0.5, 0), diag(1, 0.5)) against N(0, I), blurred: KL in closed form.

    Of 40 samples each limit may fail in 5 % + 2 standard errors (11.9 %).
    """
    target = NormalTarget([0.0, 0.0], torch.eye(2).tolist())
    mean = torch.tensor([0.5, 0.0], dtype=torch.float64)
    spread = torch.tensor([1.0, 0.5], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    wide = sigma**2 * eye
    true = gaussian_kl(mean, spread.diag() + wide, 0 * mean, eye + wide)
    missed = [0, 0]
    for seed in range(40):
        y = mean + normal(1200, 2, seed) * spread.sqrt()
        (found,) = resolutions(y, target, [sigma], seed=seed)
        missed[0] += found.kl_low > true
        missed[1] += found.kl_high < true
    most = 40 * 0.05 + 2 * math.sqrt(40 * 0.05 * 0.95)
    assert max(missed) <= most


def test_few_rows_give_nothing():
    assert resolutions(normal(50, 2, 0), NormalTarget([0.0, 0.0], torch.eye(2).tolist())) is None
