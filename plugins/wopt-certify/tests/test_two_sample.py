"""Two-sample evidence: p-values are uniform under the null, differences are found and located."""

import json
import math

import pytest
import torch
from by_hand import normal as rows

import wopt
from wopt_certify.two_sample import (
    classifier_test,
    column_differences,
    expected_coverage,
    mmd_test,
    tarp_coverage,
    two_sample,
)
from wopt_certify.two_sample.calibration import anderson_darling
from wopt_certify.two_sample.measure import holm


def is_uniform(p_values, level=0.001):
    """Return whether p-values pass Kolmogorov's test of uniformity at that level."""
    u = torch.tensor(p_values).double().sort()[0]
    n = len(u)
    above = (torch.arange(1, n + 1) / n - u).max()
    below = (u - torch.arange(n) / n).max()
    return max(float(above), float(below)) < math.sqrt(-math.log(level / 2) / (2 * n))


@pytest.mark.slow
@pytest.mark.parametrize("test", ["classifier", "mmd"])
def test_p_values_are_uniform_under_the_null(test):
    found = []
    for seed in range(150):
        x = rows(120, 3, seed).exp()  # skewed
        if test == "mmd":
            found.append(mmd_test(x[:60], x[60:], seed=seed).p_value)
        else:
            found.append(classifier_test(x[:60], x[60:], seed=seed)[0].p_value)
    assert is_uniform(found)
    # 150 Bernoulli trials of 5 %: mean 7.5, sd 2.7
    assert sum(p <= 0.05 for p in found) <= 7.5 + 3.5 * 2.7


def test_the_joint_level_holds_and_columns_are_corrected():
    joint = columns = 0
    for seed in range(40):
        x = rows(160, 4, 1000 + seed)
        found = two_sample(x[:80], x[80:], seed=seed)
        joint += found.differs
        columns += any(one.p_value <= 0.05 for one in found.columns)
    assert joint <= 2 + 3.5 * 1.4  # 40 trials of 5 %: mean 2, sd 1.4
    assert columns <= 2 + 3.5 * 1.4


def spread(x):
    return torch.cat([x[:, :2], 1.4 * x[:, 2:]], 1)


def turned(x):
    """The same columns, correlated: only their joint law differs."""
    return torch.cat([x[:, :1], 0.6 * x[:, :1] + 0.8 * x[:, 1:2], x[:, 2:]], 1)


def split(x):
    """Two modes with the mean and variance of one."""
    signs = torch.where(torch.arange(len(x)) % 2 == 0, 1.0, -1.0).double()
    y = 0.3 * x
    y[:, 0] = y[:, 0] + math.sqrt(1 - 0.09) * signs
    return torch.cat([y[:, :1], x[:, 1:]], 1)


@pytest.mark.parametrize("change", [lambda x: x + 0.5, spread, turned, split])
def test_differences_are_found_by_both_tests(change):
    x, y = rows(800, 3), change(rows(800, 3, seed=1))
    found = two_sample(x, y, seed=0)
    assert found.differs
    assert found.classifier.p_value <= 0.01
    assert found.mmd.p_value <= 0.01


def test_the_column_that_differs_is_named_first():
    x, y = rows(1000, 6), rows(1000, 6, seed=1)
    y[:, 4] = 0.4 + 1.3 * y[:, 4]
    found = two_sample(x, y, list("abcdef"))
    first, *others = found.columns
    assert first.name == "e"
    assert first.p_value < 1e-6
    assert min(one.p_value for one in others) > 0.001
    # standard errors: sqrt(2/1000) of the shift, 1/sqrt(1000) of the ratio
    assert first.shift == pytest.approx(0.4, abs=4 * 0.05)
    assert first.spread == pytest.approx(1.3, abs=4 * 0.045)
    assert "e (distance" in found.text()


def test_the_region_that_the_model_misses_is_found():
    """The model lacks a tenth of the law, a cluster at (4, 4, 0)."""
    x = rows(2000, 3)
    x[::10, :2] = 4 + 0.5 * x[::10, :2]
    found = two_sample(x, rows(2000, 3, seed=1))
    region = next(one for one in found.regions if one.favours == "rows")
    assert region.rows_share - region.samples_share > 5 * region.error
    assert region.rows_share == pytest.approx(0.12, abs=0.08)
    assert torch.tensor(region.centre)[:2].sub(4).abs().max() < 0.5
    assert {name for name, _ in region.columns[:2]} == {"x0", "x1"}
    assert "too few samples around" in found.text()


def test_information_is_below_the_jensen_shannon_divergence():
    """JS of N(0, 1) and N(2, 1) is 0.3370 nats in log 2 = 0.693 by quadrature."""
    x, y = rows(4000, 1), 2 + rows(4000, 1, seed=1)
    t = torch.linspace(-8, 10, 20001, dtype=torch.float64)
    p, q = (torch.exp(-((t - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, 2))
    js = float(torch.trapezoid((p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()) / 2, t))
    found, _ = classifier_test(x, y)
    assert found.information <= js + 3 * found.information_error
    assert found.information > 0.9 * js
    best = 0.5 * (1 + math.erf(1 / math.sqrt(2)))  # the threshold at 1
    assert found.accuracy == pytest.approx(best, abs=4 * found.accuracy_error)


def test_what_is_written_and_mistakes():
    x = rows(100, 2)
    y = rows(100, 2, seed=1)
    y[0, 0] = math.inf
    found = two_sample(x, y)
    table = json.loads(json.dumps(found.to_dict()))
    assert {"classifier", "mmd", "p_value", "differs", "columns", "regions"} <= set(table)
    assert found.overflowed == 1
    assert "No difference was found" in found.text()
    with pytest.raises(wopt.DataError, match="as many columns"):
        two_sample(x, rows(100, 3))
    with pytest.raises(wopt.DataError, match="20 finite rows"):
        two_sample(x, y[:10])


def test_constant_columns_and_holm():
    x = torch.cat([rows(50, 1), torch.ones(50, 1).double()], 1)
    found = column_differences(x, x.flip(0), ["a", "b"])
    assert all(one.p_value == 1 and one.distance == 0 for one in found)
    assert two_sample(x, x.flip(0)).classifier.judged == 25
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


# Conditional laws: y | u ~ N((u, -u), I), exactly.


def posterior(n=400, draws=60, width=1.0, shift=0.0, seed=0):
    """Return log-densities, those of draws, rows, draws and conditions of a model."""
    u = 2 * rows(n, 1, seed)
    centre = torch.cat([u, -u], 1)
    y = centre + rows(n, 2, seed + 1)
    z = rows(n * draws, 2, seed + 2).reshape(n, draws, 2)
    x = centre[:, None] + shift + width * z

    def log_density(points):
        away = (points - centre.reshape(n, *[1] * (points.ndim - 2), 2) - shift) / width
        return -away.square().sum(-1) / 2

    return log_density(y), log_density(x), y, x, u


@pytest.mark.parametrize("kind", ["density", "distance"])
def test_an_exact_posterior_is_calibrated(kind):
    p_values = []
    for seed in range(60):
        own, others, y, x, u = posterior(120, 20, seed=10 * seed)
        if kind == "density":
            found = expected_coverage(own, others, seed)
        else:
            found = tarp_coverage(y, x, u, seed)
        p_values.append(found.p_value)
    assert is_uniform(p_values)


@pytest.mark.parametrize(
    ("width", "verdict"), [(1.0, "calibrated"), (0.6, "too narrow"), (1.6, "too wide")]
)
def test_a_posterior_of_wrong_width_is_caught(width, verdict):
    own, others, y, x, u = posterior(width=width)
    density, distance = expected_coverage(own, others), tarp_coverage(y, x, u)
    assert density.verdict == verdict
    assert distance.verdict == ("calibrated" if width == 1 else "not calibrated")
    if width != 1:
        assert density.p_value == 0.001  # the least of 999 simulations
    # the region of level a of N(0, w^2 I) in the plane holds 1 - (1 - a)^(w^2) of N(0, I)
    for level, found, error in zip(density.levels, density.coverage, density.error, strict=True):
        assert found == pytest.approx(1 - (1 - level) ** (width**2), abs=4 * error + 0.02)


def test_a_shifted_posterior_is_caught():
    own, others, y, x, u = posterior(shift=1.0)
    assert expected_coverage(own, others).verdict == "too narrow"  # truth lies far out
    assert tarp_coverage(y, x, u).verdict != "calibrated"


def test_a_model_that_ignores_the_condition_is_caught_by_tarp_alone():
    _, _, y, _, u = posterior(800)
    marginal = torch.distributions.MultivariateNormal(
        torch.zeros(2).double(), torch.tensor([[5.0, -4.0], [-4.0, 5.0]]).double()
    )
    z = rows(800 * 60, 2, seed=9) @ torch.linalg.cholesky(marginal.covariance_matrix).T
    x = z.reshape(800, 60, 2)
    assert expected_coverage(marginal.log_prob(y), marginal.log_prob(x)).verdict == "calibrated"
    assert tarp_coverage(y, x, u).p_value <= 0.001
    assert tarp_coverage(y, x).verdict == "calibrated"  # points that ignore it too see nothing


def test_anderson_darling_has_its_known_law():
    """E A^2 = 1, and 2.492 is its 95 % point."""
    u = torch.rand(4000, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = anderson_darling(u)
    assert float(found.mean()) == pytest.approx(1, abs=4 * 0.76 / math.sqrt(4000))
    assert float((found > 2.492).double().mean()) == pytest.approx(0.05, abs=4 * 0.0035)


def test_ranks_of_discrete_densities_break_ties_by_chance():
    n = 500
    found = expected_coverage(torch.zeros(n).double(), torch.zeros(n, 30).double())
    assert found.verdict == "calibrated"


def test_mistakes_of_tarp():
    with pytest.raises(wopt.DataError, match="TARP needs rows"):
        tarp_coverage(rows(10, 2), rows(30, 2).reshape(10, 3, 2)[:9])


def test_a_conditional_flow_is_checked():
    from wopt_certify.two_sample import conditional_evidence

    u = rows(2000, 1).numpy()
    y = 1.5 * u + 0.5 * rows(2000, 1, seed=1).numpy()
    found = wopt.fit(
        y[:1600],
        conditions=u[:1600],
        block="affine",
        solver=wopt.InnerSolver(iterations=400, learning_rate=0.02),
        scheme={"name": "jko", "step_size": 1000.0},
        stop=wopt.Stop(steps=1),
        dtype=torch.float64,
    )
    held_out = torch.cat([torch.from_numpy(y), torch.from_numpy(u)], 1)[1600:]
    evidence = conditional_evidence(found.flow, held_out, draws=50)
    assert evidence.density.p_value > 0.001
    assert evidence.distance.p_value > 0.001
    assert "TARP" in evidence.text()
    json.dumps(evidence.to_dict())
    units = wopt.AffineTransform.fit(rows(10, 2), "none")
    plain = wopt.Flow([units], wopt.build("target", "gaussian"))
    with pytest.raises(wopt.CapabilityError, match="conditional"):
        conditional_evidence(plain, held_out)
