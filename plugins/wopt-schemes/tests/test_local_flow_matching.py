"""Local flow matching follows the exact Fokker-Planck flow to a Gaussian."""

import pytest
import torch

import wopt
from wopt.testing import NormalTarget
from wopt_schemes import LocalFlowMatching
from wopt_schemes.local_flow_matching import _gaussian

MEAN, COVARIANCE = torch.tensor([0.5, -1.0]), torch.tensor([[1.2, -0.4], [-0.4, 0.9]])
TARGET = NormalTarget(MEAN.tolist(), COVARIANCE.tolist())


def exact_flow(mean, covariance, time):
    decay = torch.linalg.matrix_exp(-time * torch.linalg.inv(COVARIANCE.double()))
    n, s = MEAN.double(), COVARIANCE.double()
    return n + decay @ (mean - n), s + decay @ (covariance - s) @ decay


def test_mean_and_covariance_are_read_off_the_score():
    mean, covariance = _gaussian(TARGET, 2, torch.zeros(1, dtype=torch.float64))
    assert torch.allclose(mean, MEAN.double(), atol=1e-6)
    assert torch.allclose(covariance, COVARIANCE.double(), atol=1e-6)


def test_the_process_is_drawn_exactly():
    """40,000 draws from one point: moments within four standard errors."""
    scheme = LocalFlowMatching(step_size=0.7)
    x = torch.tensor([[2.0, 1.0]], dtype=torch.float64).expand(40_000, 2)
    history = wopt.History(wopt.Particles.start(x), None, None, 0, 0.7, None)
    sub = scheme.subproblem(history, wopt.build("objective", {"name": "kl", "target": TARGET}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        end = sub.end(x)
    mean, covariance = exact_flow(x[0], torch.zeros(2, 2, dtype=torch.float64), 0.7)
    assert torch.allclose(end.mean(0), mean, atol=4 * 1.1 / 200)
    assert torch.allclose(torch.cov(end.T), covariance, atol=4 * 1.5 / 200)


@pytest.mark.parametrize(
    "objective",
    [
        "entropy",
        {"name": "kl", "target": {"name": "mixture", "means": [[-1.0, 0.0], [1.0, 0.0]]}},
    ],
)
def test_what_is_not_kl_to_a_gaussian_is_refused(objective):
    with pytest.raises(wopt.ConfigError, match="needs KL to a Gaussian"):
        LocalFlowMatching().check(wopt.build("objective", objective))
