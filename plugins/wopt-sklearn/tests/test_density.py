"""FlowDensity as an estimator: scikit-learn's own checks, and in its company."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from wopt_sklearn import FlowDensity

CHECKS = list(estimator_checks_generator(FlowDensity(iterations=3)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: getattr(c[1], "func", c[1]).__name__)
def test_scikit_learn_accepts_it(check):
    estimator, function = check
    function(estimator)


@pytest.fixture(scope="module")
def ring():
    """A ring of radius 5: a density that no Gaussian has."""
    chance = np.random.default_rng(0)
    angle = chance.uniform(0, 2 * np.pi, 600)
    radius = 5 + 0.5 * chance.normal(size=600)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


@pytest.fixture(scope="module")
def fitted(ring):
    return FlowDensity(random_state=0).fit(ring)


def test_anomalies_have_a_low_density(ring, fitted):
    threshold = np.quantile(fitted.score_samples(ring), 0.02)
    odd = np.array([[0.0, 0.0], [9.0, 0.0], [6.5, 6.5]])  # the first has the mean of the data
    assert (fitted.score_samples(odd) < threshold).all()
    fresh = np.array([[5.0, 0.0], [0.0, -5.0], [3.54, 3.54]])
    assert (fitted.score_samples(fresh) > threshold).all()


def test_samples_are_of_the_ring_and_repeat(fitted):
    drawn = fitted.sample(500, random_state=1)
    assert np.array_equal(drawn, fitted.sample(500, random_state=1))
    assert abs(np.median(np.linalg.norm(drawn, axis=1)) - 5) < 0.4


def test_a_pickle_scores_alike(ring, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.score_samples(ring), fitted.score_samples(ring))


def test_in_a_grid_search_over_a_pipeline(ring):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), FlowDensity(random_state=0, batch_size=200)),
        {"flowdensity__iterations": [2, 100]},
        cv=2,
    )
    search.fit(ring)
    assert search.best_params_ == {"flowdensity__iterations": 100}
    assert search.best_estimator_.score(ring) > search.cv_results_["mean_test_score"][0]


def test_what_cannot_be_fitted_is_a_value_error(ring):
    with pytest.raises(ValueError, match="no block named 'nothing'"):
        FlowDensity("nothing").fit(ring)
