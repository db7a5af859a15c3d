"""The law of a response given features: means, quantiles, intervals and proper scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from sklearn.base import RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from wopt_sklearn.conditional import ConditionalEstimator
from wopt_sklearn.fitting import LEAST_ROWS, fitted_flow, split_off

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


class FlowRegressor(RegressorMixin, ConditionalEstimator):  # type: ignore[misc]
    """The law of a real response y given features x, by a conditional flow.

    The flow's map T(.; x) is increasing and carries y to N(0, 1), so that with Phi the normal
    distribution function

        P(y <= t | x) = Phi(T(t; x)),    Q(u | x) = T^-1(Phi^-1(u); x),

    both exact. A tenth of the rows, which nothing else sees, calibrates the levels: u becomes the
    quantile of level u of these rows' Phi(T(y; x)), so that intervals hold their coverage in the
    mean over x (Kuleshov, Fenner, Ermon 2018). Features that do not vary are left out.

    Args:
        budget: CPU seconds of training, a number or ``"5min"``.
        calibration: Fraction of the rows that calibrates; 0 for none.
        options: Further arguments of :func:`wopt.fit`. With a block or a solver among them the
            budget is not used.
        random_state: Seed of splits, training and :meth:`sample`.

    Attributes:
        flow_: The fitted conditional :class:`wopt.Flow`.
        features_: Which features it uses, shape ``(p,)``.
        levels_: The sorted Phi(T(y; x)) of the rows that calibrate.
        n_features_in_: Number of features.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> x = draw.normal(size=(300, 1))
        >>> y = 2 * x[:, 0] + draw.normal(size=300)
        >>> quick = {"block": "affine", "solver": {"iterations": 20}, "stop": {"steps": 1}}
        >>> model = FlowRegressor(options=quick, random_state=0).fit(x, y)
        >>> model.predict(x).shape, model.predict_quantiles(x, [0.1, 0.9]).shape
        ((300,), (300, 2))
    """

    def fit(self, X: Any, y: Any) -> FlowRegressor:
        """Fit the law of y given x.

        Args:
            X: Features, shape ``(n, p)``, finite numbers, at least 10 rows.
            y: Responses, shape ``(n,)``.

        Raises:
            ValueError: The rows or options cannot be used.
        """
        x, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=LEAST_ROWS
        )
        y = np.asarray(y, dtype=np.float64)
        chance = check_random_state(self.random_state)
        train, judges = split_off(len(y), self.calibration, chance)
        self.features_ = np.ptp(x[train], axis=0) > 0
        options = self._fit_options(chance)
        used = x[train][:, self.features_]
        conditions = used if self.features_.any() else None
        self.flow_ = fitted_flow(y[train, None], options, conditions)
        self.levels_ = np.empty(0)
        self.levels_ = np.sort(self._pit(x[judges], y[judges]))
        return self

    def predict(self, X: Any) -> Any:
        """Return the means E[y | x], shape ``(n,)``, by 64 nodes of Gauss and Legendre in u."""
        return self.predict_quantiles(X, _NODES) @ _WEIGHTS

    def predict_quantiles(self, X: Any, levels: Any) -> Any:
        """Return quantiles of y given x, shape ``(n, k)``.

        Args:
            X: Features, shape ``(n, p)``.
            levels: Levels u in (0, 1), shape ``(k,)``.

        Raises:
            ValueError: A level is not in (0, 1).
        """
        x = self._features(X)
        u = np.asarray(levels, dtype=np.float64)
        if u.ndim != 1 or not ((u > 0) & (u < 1)).all():
            raise ValueError(f"levels lie in (0, 1), one after the other, got {levels}")
        return self._quantiles(x, np.tile(self._calibrated(u), (len(x), 1)))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Any:
        """Return central intervals that hold y with a probability, shape ``(n, 2)``."""
        return self.predict_quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])

    def log_prob(self, X: Any, y: Any) -> Any:
        """Return the log-density of y given x, nats, shape ``(n,)``, without calibration."""
        rows = torch.tensor(np.asarray(y, dtype=np.float64)[:, None])
        used = self._features(X)[:, self.features_]
        given = torch.tensor(used) if self.features_.any() else None
        with torch.no_grad():
            return self.flow_.log_prob(rows, conditions=given).numpy()

    def pit(self, X: Any, y: Any) -> Any:
        """Return P(Y <= y | x) at responses, shape ``(n,)``: uniform if the law is right."""
        plain = self._pit(self._features(X), np.asarray(y, dtype=np.float64))
        return np.interp(plain, *self._knots()[::-1])

    def crps(self, X: Any, y: Any) -> Any:
        """Return the continuous ranked probability score, in the unit of y, shape ``(n,)``.

        CRPS = 2 int_0^1 (1{y <= Q(u)} - u) (Q(u) - y) du; smaller is better.
        """
        over = self.predict_quantiles(X, _NODES) - np.asarray(y, dtype=np.float64)[:, None]
        return 2 * (((over >= 0) - _NODES) * over) @ _WEIGHTS

    def sample(self, X: Any, n_samples: int = 1, random_state: Any = None) -> Any:
        """Return draws of y given x, shape ``(n, n_samples)``, by the estimator's seed."""
        x = self._features(X)
        seed = self.random_state if random_state is None else random_state
        u = check_random_state(seed).uniform(size=(len(x), n_samples))
        return self._quantiles(x, self._calibrated(u))

    def _quantiles(self, x: Any, u: Any) -> Any:
        """Return the model's quantiles of features ``(n, p)`` at its own levels ``(n, k)``."""
        edge = np.finfo(np.float64).eps
        z = torch.tensor(ndtri(np.clip(u, edge, 1 - edge)).reshape(-1, 1))
        used = torch.tensor(x[:, self.features_]).repeat_interleave(u.shape[1], 0)
        with torch.no_grad():
            y, _ = self.flow_.inverse(z, used if used.shape[1] else None)
        return y[:, 0].numpy().reshape(u.shape)

    def _pit(self, x: Any, y: Any) -> Any:
        rows, used = torch.tensor(y[:, None]), torch.tensor(x[:, self.features_])
        with torch.no_grad():
            return ndtr(self.flow_(rows, used if used.shape[1] else None)[0][:, 0].numpy())

    def _knots(self) -> tuple[Any, Any]:
        """Return levels, and the model's own levels that stand for them."""
        k = len(self.levels_)
        own = np.concatenate([[0.0], self.levels_, [1.0]])
        return np.arange(k + 2) / (k + 1), own

    def _calibrated(self, u: Any) -> Any:
        return np.interp(u, *self._knots())
