"""KL at a resolution, against closed forms of blurred Gaussians."""

import math

import pytest
import torch

import wopt
from wopt.certify.resolution import blurred, resolutions
from wopt.testing import GaussianTarget
from wopt.testing.gaussian import gaussian_kl


def normal(n, dim, seed):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=draw, dtype=torch.float64)


def test_a_gaussian_target_is_blurred_in_closed_form():
    target = wopt.build("target", {"name": "gaussian", "mean": [1.0, 0.0], "scale": [1.0, 2.0]})
    log_q = blurred(target, 2, 0.5)
    law = torch.distributions.Normal(torch.tensor([1.0, 0.0]), torch.tensor([1.25, 4.25]).sqrt())
    x = normal(20, 2, 0)
    assert torch.allclose(log_q(x), law.log_prob(x).sum(1).double(), atol=1e-6)


def test_what_is_not_gaussian_has_no_closed_form_unless_it_says_so():
    target = wopt.build("target", {"name": "mixture", "means": [[-1.0], [1.0]]})
    assert blurred(target, 1, 0.5) is None
    assert resolutions(normal(500, 1, 0), target) is None

    class Two(wopt.Target):
        provides = wopt.Need.POTENTIAL | wopt.Need.NORMALISED

        def blurred(self, sigma):
            def log_density(x):
                parts = [-((x[:, 0] - m) ** 2) / (2 * (1 + sigma**2)) for m in (-1, 1)]
                both = torch.stack(parts).logsumexp(0) - math.log(2)
                return both - math.log(2 * math.pi * (1 + sigma**2)) / 2

            return log_density

    x = normal(4000, 1, 0) + torch.where(torch.arange(4000) % 2 == 0, 1.0, -1.0)[:, None]
    (found,) = resolutions(x, Two(), [0.5])
    assert found.kl_low == 0
    assert 0 < found.kl_high < 0.03


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_both_limits_hold_as_often_as_they_say(sigma):
    """p = N((0.5, 0), diag(1, 0.5)) against N(0, I), blurred: KL in closed form.

    Of 40 samples each limit may fail in 5 % + 2 standard errors (11.9 %).
    """
    target = GaussianTarget([0.0, 0.0], torch.eye(2).tolist())
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


def test_default_blurs_grow_and_their_intervals_shrink():
    target = GaussianTarget([0.0, 0.0], torch.eye(2).tolist())
    found = resolutions(normal(6000, 2, 0) + torch.tensor([1.0, 0.0]), target)
    sigmas = [entry.sigma for entry in found]
    widths = [entry.kl_high - entry.kl_low for entry in found]
    assert 1 <= len(found) <= 3
    assert sigmas == sorted(sigmas)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.15


def test_few_rows_give_nothing():
    assert resolutions(normal(50, 2, 0), GaussianTarget([0.0, 0.0], torch.eye(2).tolist())) is None
