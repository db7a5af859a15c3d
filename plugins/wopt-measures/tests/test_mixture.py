"""Mixture law, target and source against closed forms."""

import math

import pytest
import torch

import wopt
from wopt_measures import MixtureLaw, MixtureSource, MixtureTarget

MEANS = [[-1.0, 0.5], [1.5, -0.5], [0.0, 2.0]]
CASES = {
    "equal": {},
    "scale": {"scale": 0.4},
    "scales": {"scale": [0.3, 0.5, 1.0], "weights": [1, 2, 3]},
    "covariances": {
        "covariances": [[[1, 0.5], [0.5, 1]], [[0.5, 0], [0, 0.2]], [[1, 0], [0, 1]]],
        "weights": [0.2, 0.3, 0.5],
    },
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_density_integrates_to_one_and_entropy_is_its_integral(options, grid):
    law = MixtureLaw.make(MEANS, **options)
    x, cell = grid(10, 401)
    log_p = law.log_prob(x)
    assert float(log_p.exp().sum() * cell) == pytest.approx(1, abs=1e-8)
    found = law.entropy()
    exact = -float((log_p.exp() * log_p).sum() * cell)
    assert found.standard_error < 1e-3
    assert found.value == pytest.approx(exact, abs=4 * found.standard_error)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_score_is_the_gradient(options):
    target = MixtureTarget(MEANS, **options)
    x = 2 * torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(target.score(x), wopt.Target.score(target, x), rtol=1e-9, atol=1e-11)
    assert target.potential(x.float()).dtype == target.score(x.float()).dtype == torch.float32
    far = torch.tensor([[1e4, 0.0]])
    assert torch.isfinite(target.potential(far)).all()
    assert torch.isfinite(target.score(far)).all()


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_samples_have_the_moments(options):
    n = 40_000
    target = MixtureTarget(MEANS, **options)
    x = target.sample(n, 2, torch.Generator().manual_seed(0))
    weights = torch.tensor(options.get("weights", [1, 1, 1])).double()
    mean = (weights / weights.sum()) @ torch.tensor(MEANS).double()
    assert ((x.mean(0) - mean) / x.std(0) * n**0.5).abs().max() < 4
    # E(score) = 0 under the law ties samples and density together
    score = target.score(x)
    assert (score.mean(0) / score.std(0) * n**0.5).abs().max() < 4


def hessians(target, x):
    rows = torch.autograd.functional.jacobian(lambda p: -target.score(p).sum(0), x)
    return rows.permute(1, 0, 2)


def test_convexity_is_a_lower_bound_and_sharp_for_two_modes():
    target = MixtureTarget([[-1.0, 0.0], [1.0, 0.0]], scale=0.5)
    assert target.convexity == pytest.approx(1 / 0.5**2 - 1 / 0.5**4)
    hessian = hessians(target, torch.zeros(1, 2, dtype=torch.float64))
    assert float(torch.linalg.eigvalsh(hessian).min()) == pytest.approx(target.convexity)


@pytest.mark.parametrize(
    "options", [{"scale": 0.8}, {"scale": 3.0}, {"covariances": [[[1, 0.5], [0.5, 2]]] * 3}]
)
def test_convexity_bounds_the_hessian(options):
    target = MixtureTarget(MEANS, **options)
    x = 2 * torch.randn(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(torch.linalg.eigvalsh(hessians(target, x)).min()) >= target.convexity - 1e-9


def test_one_component_is_a_gaussian_and_unlike_scales_claim_nothing():
    assert MixtureTarget([[3.0, 1.0]], scale=0.5).convexity == pytest.approx(4)
    assert MixtureTarget(MEANS, scale=[1, 1, 2]).convexity is None
    law = MixtureLaw.make([[0.0] * 50], scale=2.0)
    found = law.entropy(n=2000)
    assert found.value == pytest.approx(25 * math.log(2 * math.pi * math.e * 4))
    assert found.standard_error < 1e-12


def test_source_has_density_entropy_and_fresh_samples():
    data = MixtureSource(MEANS, scale=0.4).load(seed=1)
    surprise = -data.log_density(data.test)
    error = float(surprise.std()) / len(data.test) ** 0.5
    assert float(surprise.mean()) == pytest.approx(data.entropy, abs=4 * error)
    fresh = data.sample(5, torch.Generator().manual_seed(0))
    assert fresh.shape == (5, 2)
    covariance = torch.cov(data.transform.move(data.train).T)
    torch.testing.assert_close(covariance, torch.eye(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"means": []}, "means.*one list of d numbers"),
        ({"means": [[0, 0], [1]]}, r"means.*lengths \[2, 1\]"),
        ({"means": MEANS, "weights": [1, 2]}, "`weights` has 2 entries for 3 components"),
        ({"means": MEANS, "weights": [1, 2, 0]}, "weights.*positive"),
        ({"means": MEANS, "scale": [1, 2]}, "`scale` has 2 entries"),
        ({"means": MEANS, "covariances": [[[1]]]}, "`covariances` has 1 entries"),
        ({"means": MEANS, "covariances": [[[1, 0], [0, 1]]] * 3, "scale": 2}, "not both"),
        ({"means": [[0], [1]], "covariances": [[[1]], [[-1]]]}, "component 1.*positive definite"),
        ({"means": [[0], [1]], "covariances": [[[1, 0], [0, 1]]] * 2}, "disagree"),
        ({}, "means: is required"),
    ],
)
def test_bad_options_are_explained(options, message):
    for kind in ("target", "source"):
        with pytest.raises(wopt.ConfigError, match=message):
            wopt.build(kind, {"name": "mixture", **options})


def test_wrong_dimensions_are_explained():
    target = MixtureTarget(MEANS)
    with pytest.raises(wopt.DataError, match="2 dimension"):
        target.potential(torch.zeros(3, 3))
    with pytest.raises(wopt.DataError, match="2 dimension"):
        target.sample(3, 3, torch.Generator())
