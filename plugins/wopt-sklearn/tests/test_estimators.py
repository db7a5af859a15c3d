"""FlowRegressor and FlowClassifier: scikit-learn's checks, and laws whose truth is known."""

import numpy as np
import pytest
from scipy.stats import kstest, norm
from sklearn.utils.estimator_checks import estimator_checks_generator

import wopt
from wopt_sklearn import FlowClassifier, FlowRegressor

QUICK = {
    "block": {"name": "autoregressive", "transforms": 1, "hidden": [16]},
    "scheme": {"name": "jko", "step_size": 100.0},
    "solver": {"iterations": 20, "learning_rate": 0.02, "batch_size": 64},
    "stop": {"steps": 1},
    "preprocess": "standardise",
}
CHECKS = [
    check
    for kind in (FlowRegressor, FlowClassifier)
    for check in estimator_checks_generator(kind(options=QUICK, random_state=0))
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "check", CHECKS, ids=lambda c: f"{type(c[0]).__name__}-{getattr(c[1], 'func', c[1]).__name__}"
)
def test_scikit_learn_accepts_it(check):
    estimator, function = check
    function(estimator)


LINEAR = QUICK | {"block": "affine", "solver": {"optimiser": "lbfgs", "iterations": 40}}


@pytest.fixture(scope="module")
def law():
    """y = 3 + 2 x_0 + (1 + |x_1|) e: an affine map of features cannot hold its spread."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(4000, 2))
    return x, 3 + 2 * x[:, 0] + (1 + np.abs(x[:, 1])) * draw.normal(size=4000)


@pytest.fixture(scope="module")
def regressor(law):
    solver = {"iterations": 150, "learning_rate": 0.01, "batch_size": 500}
    options = QUICK | {"solver": solver}
    return FlowRegressor(options=options, random_state=0).fit(law[0][:3000], law[1][:3000])


def test_quantiles_are_those_of_the_law(law, regressor):
    x = law[0][3000:]
    levels = np.array([0.1, 0.5, 0.9])
    spread = 1 + np.abs(x[:, 1])
    truth = 3 + 2 * x[:, :1] + spread[:, None] * norm.ppf(levels)
    found = regressor.predict_quantiles(x, levels)
    assert np.abs((found - truth) / spread[:, None]).mean() < 0.2
    assert (np.diff(found, axis=1) > 0).all()
    assert np.abs(regressor.predict(x) - truth[:, 1]).mean() < 0.3


def test_levels_are_calibrated_on_rows_that_nothing_saw(law, regressor):
    x, y = law[0][3000:], law[1][3000:]
    low, high = regressor.predict_interval(x, 0.8).T
    # Standard errors: 0.013 of a thousand rows, 0.023 of the 300 that calibrate.
    assert abs(((low <= y) & (y <= high)).mean() - 0.8) < 3 * np.hypot(0.013, 0.023)
    assert kstest(regressor.pit(x, y), "uniform").statistic < 1.63 * (1000**-0.5 + 300**-0.5)


def test_scores_are_those_of_a_gaussian():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(2000, 1))
    y = draw.normal(1.0, 2.0, 2000)
    model = FlowRegressor(calibration=0, options=LINEAR, random_state=0).fit(x, y)
    mean, sd = model.predict(x[:1])[0], np.ptp(model.predict_quantiles(x[:1], norm.cdf([0, 1])))
    z = (y - mean) / sd
    crps = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)
    assert abs(mean - 1) < 4 * 2 / 2000**0.5 * 1.2
    assert abs(sd - 2) < 4 * 2 / 4000**0.5 * 1.2
    assert np.allclose(model.crps(np.repeat(x[:1], 2000, 0), y), crps, atol=2e-3)
    assert np.allclose(model.log_prob(np.repeat(x[:1], 2000, 0), y), norm.logpdf(y, mean, sd))


def test_draws_repeat_and_follow_the_features(law, regressor):
    x = np.array([[2.0, 0.0], [-2.0, 0.0]])
    drawn = regressor.sample(x, 400)
    assert np.array_equal(drawn, regressor.sample(x, 400))
    assert np.abs(drawn.mean(1) - [7.0, -1.0]).max() < 0.5


def test_classes_by_bayes_rule():
    """Two Gaussians, whose logits are linear: 2 (x_0 - 1) + log(P(1)/P(0))."""
    draw = np.random.default_rng(2)
    y = draw.choice(["no", "yes"], 3000, p=[0.7, 0.3])
    x = draw.normal(size=(3000, 2)) + np.outer(y == "yes", [2.0, 0.0])
    # Coordinates are mixed by the affine block, whose shift depends on the conditions alone.
    solver = {"iterations": 300, "learning_rate": 0.02, "batch_size": 500}
    model = FlowClassifier(options=QUICK | {"solver": solver}, random_state=0).fit(x, y)
    logits = 2 * (x[:, 0] - 1) + np.log(model.priors_[1] / model.priors_[0])
    found = model.predict_proba(x)[:, 1]
    assert np.abs(found - 1 / (1 + np.exp(-logits))).mean() < 0.05
    assert model.score_samples([[40.0, 40.0]])[0] < model.score_samples(x).min()


def test_they_are_names_of_wopt():
    assert wopt.FlowRegressor is FlowRegressor
    from wopt.sklearn import FlowDensity

    assert FlowDensity is wopt.FlowDensity


@pytest.mark.parametrize("levels", [[0.0, 0.5], [1.2], 0.5])
def test_levels_outside_are_refused(regressor, levels):
    with pytest.raises(ValueError, match="levels lie in"):
        regressor.predict_quantiles([[0.0, 0.0]], levels)
