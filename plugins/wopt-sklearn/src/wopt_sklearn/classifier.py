"""Classes by Bayes' rule, from the densities of features in each class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from wopt_sklearn.conditional import ConditionalEstimator
from wopt_sklearn.fitting import LEAST_ROWS, fitted_flow, split_off


class FlowClassifier(ClassifierMixin, ConditionalEstimator):  # type: ignore[misc]
    """Class probabilities by Bayes' rule, from one conditional flow p(x | k).

        P(k | x) = softmax_k(b (log p(x | k) + log P(k))),    0 < b <= 1.

    Densities of many features are overconfident; b, found on a tenth of the rows, which nothing
    else sees, makes probabilities as sure as they are right (temperature scaling, Guo et al. 2017).
    The same flow says how odd a row is, whatever its class (:meth:`score_samples`). Features that
    do not vary are left out.

    Args:
        budget: CPU seconds of training, a number or ``"5min"``.
        calibration: Fraction of the rows that calibrates; 0 for none.
        options: Further arguments of :func:`wopt.fit`. With a block or a solver among them the
            budget is not used.
        random_state: Seed of splits and training.

    Attributes:
        flow_: The fitted conditional :class:`wopt.Flow`.
        classes_: The classes.
        priors_: Their frequencies, shape ``(k,)``.
        features_: Which features it uses, shape ``(p,)``.
        sharpness_: b.
        n_features_in_: Number of features.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> y = draw.integers(0, 2, 300)
        >>> x = draw.normal(size=(300, 2)) + 3 * y[:, None]
        >>> quick = {"block": "affine", "solver": {"iterations": 20}, "stop": {"steps": 1}}
        >>> model = FlowClassifier(options=quick, random_state=0).fit(x, y)
        >>> model.predict_proba(x).shape
        (300, 2)
    """

    def fit(self, X: Any, y: Any) -> FlowClassifier:
        """Fit the densities.

        Args:
            X: Features, shape ``(n, p)``, finite numbers, at least 10 rows.
            y: Classes, shape ``(n,)``, at least two.

        Raises:
            ValueError: The rows or options cannot be used.
        """
        x, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=LEAST_ROWS)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("FlowClassifier needs rows of two classes or more, got one class")
        chance = check_random_state(self.random_state)
        train, judges = split_off(len(codes), self.calibration, chance)
        self.priors_ = np.bincount(codes) / len(codes)
        self.features_ = np.ptp(x[train], axis=0) > 0
        options = self._fit_options(chance)
        self.flow_ = fitted_flow(x[train][:, self.features_], options, self._marks(codes[train]))
        self.sharpness_ = 1.0
        if len(judges):
            joint = self._joint(x[judges])

            def loss(sharpness: float) -> float:
                logs = log_softmax(sharpness * joint, axis=1)
                return -float(logs[np.arange(len(judges)), codes[judges]].mean())

            self.sharpness_ = float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return P(k | x), shape ``(n, k)``."""
        joint = self._joint(self._features(X))
        return np.exp(log_softmax(self.sharpness_ * joint, axis=1))

    def predict(self, X: Any) -> Any:
        """Return the likeliest classes, shape ``(n,)``."""
        joint = self._joint(self._features(X))
        return self.classes_[joint.argmax(1)]

    def score_samples(self, X: Any) -> Any:
        """Return log p(x), nats, shape ``(n,)``: low where no class has such rows."""
        return logsumexp(self._joint(self._features(X)), axis=1)

    def _marks(self, codes: Any) -> Any:
        """Return the indicators of all classes but the first, shape ``(n, k - 1)``."""
        return np.eye(len(self.classes_))[codes][:, 1:]

    def _joint(self, x: Any) -> Any:
        """Return log p(x | k) + log P(k), shape ``(n, k)``."""
        rows = torch.tensor(x[:, self.features_])
        logs = []
        with torch.no_grad():
            for code in range(len(self.classes_)):
                given = torch.tensor(self._marks(np.full(len(x), code)))
                logs.append(self.flow_.log_prob(rows, conditions=given).double().numpy())
        return np.stack(logs, axis=1) + np.log(self.priors_)
