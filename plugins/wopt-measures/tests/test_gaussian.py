"""Gaussian law, target and start against closed forms."""

import math

import pytest
import torch

import wopt
from wopt_measures import GaussianSource, GaussianTarget

COVARIANCE = [[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]]
CASES = {
    "standard": {},
    "scalars": {"mean": 1.5, "scale": 0.5},
    "vectors": {"mean": [1.0, -2.0, 0.5], "scale": [0.5, 1.0, 2.0]},
    "covariance": {"mean": [1.0, -2.0, 0.5], "covariance": COVARIANCE},
}


def reference(options, dim=3):
    def spread(name, default):
        return torch.tensor(options.get(name, default), dtype=torch.float64).expand(dim)

    mean = spread("mean", 0.0)
    if "covariance" in options:
        covariance = torch.tensor(options["covariance"], dtype=torch.float64)
    else:
        covariance = torch.diag(spread("scale", 1.0) ** 2)
    return torch.distributions.MultivariateNormal(mean, covariance)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_density_score_convexity_agree_with_torch(options):
    target, known = GaussianTarget(**options), reference(options)
    x = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(target.potential(x), -known.log_prob(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        target.score(x), wopt.Target.score(target, x), rtol=1e-10, atol=1e-10
    )
    largest = float(torch.linalg.eigvalsh(known.covariance_matrix)[-1])
    assert target.convexity == pytest.approx(1 / largest)
    assert target.dim == (None if not options or options == CASES["scalars"] else 3)
    assert target.entropy(3) == pytest.approx(float(known.entropy()))


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_samples_have_the_moments(options):
    n = 40_000
    x = GaussianTarget(**options).sample(n, 3, torch.Generator().manual_seed(1))
    known = reference(options)
    assert x.dtype == torch.float64
    error = (x.mean(0) - known.mean) / known.covariance_matrix.diagonal().sqrt() * n**0.5
    assert error.abs().max() < 4
    # a covariance entry has standard error sqrt((S_ii S_jj + S_ij^2) / n)
    s = known.covariance_matrix
    spread = ((s.diagonal()[:, None] * s.diagonal() + s**2) / n).sqrt()
    assert ((torch.cov(x.T) - s) / spread).abs().max() < 4


# torch itself uses what it deprecates when forward mode is first used
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_float32_and_forward_mode(options):
    target = GaussianTarget(**options)
    x = torch.ones(4, 3)
    assert target.potential(x).dtype == target.score(x).dtype == torch.float32
    _, tangent = torch.func.jvp(target.potential, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(tangent, -target.score(x).sum(1))


def test_scalar_device_moves_with_the_points():
    x = torch.ones(4, 3, device="meta")
    for options in CASES.values():
        assert GaussianTarget(**options).potential(x).device.type == "meta"


def test_source_is_a_start_of_known_density():
    source = GaussianSource(mean=[0.0, 3.0], scale=2.0, n_train=20_000)
    data = source.load(seed=3)
    assert source.role == "start"
    assert data.entropy == pytest.approx(2 * (0.5 * math.log(2 * math.pi * math.e) + math.log(2)))
    surprise = -data.log_density(data.train)
    assert float(surprise.mean()) == pytest.approx(data.entropy, abs=4 / 20_000**0.5)
    assert torch.equal(data.transform.move(data.train), data.train)
    assert data.sample(7, torch.Generator().manual_seed(0)).shape == (7, 2)
    assert GaussianSource().load(0).dim == 2
    assert GaussianSource(dim=5).load(0).dim == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": [[1, 2], [3, 4]]}, "covariance.*not symmetric"),
        ({"covariance": [[1, 2], [2, 1]]}, "covariance.*positive definite.*least eigenvalue is -1"),
        ({"covariance": [[0.0]]}, "positive definite"),
        ({"covariance": [[1, 2]]}, "square matrix"),
        ({"covariance": [[1, 0], [0, 1]], "scale": 2}, "not both"),
        ({"mean": [0, 0], "scale": [1, 1, 1]}, "disagree.*mean 2, scale 3"),
        ({"mean": [0], "covariance": [[1, 0], [0, 1]]}, "disagree.*mean 1, covariance 2"),
        ({"scale": 0}, "scale.*positive"),
        ({"scale": [1, -1]}, "scale.*positive"),
        ({"scale": []}, "scale.*positive"),
        ({"mean": math.nan}, "mean.*finite"),
        ({"mean": "far"}, "mean.*valid number"),
        ({"means": 1}, "did you mean 'mean'"),
    ],
)
def test_bad_options_are_explained(options, message):
    with pytest.raises(wopt.ConfigError, match=message):
        GaussianTarget(**options)
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.build("target", {"name": "gaussian", **options})
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.build("source", {"name": "gaussian", **options})


def test_dimension_of_a_start_must_agree():
    with pytest.raises(wopt.ConfigError, match=r"disagree.*mean 2, dim 3"):
        GaussianSource(mean=[0, 0], dim=3)


def test_wrong_dimensions_are_explained():
    target = GaussianTarget(mean=[0.0, 0.0])
    for act in (target.potential, target.score):
        with pytest.raises(wopt.DataError, match=r"law has 2 dimension\(s\), the points 3"):
            act(torch.zeros(5, 3))
        with pytest.raises(wopt.DataError, match=r"shape \(n, d\)"):
            act(torch.zeros(5))
    with pytest.raises(wopt.DataError, match="2 dimension"):
        target.sample(3, 3, torch.Generator())


def test_arrays_are_options_too():
    target = GaussianTarget(mean=torch.tensor([1.0, 2.0]), covariance=torch.eye(2).numpy())
    assert wopt.config_of(target) == {
        "name": "gaussian",
        "mean": [1.0, 2.0],
        "scale": 1.0,
        "covariance": [[1.0, 0.0], [0.0, 1.0]],
    }
