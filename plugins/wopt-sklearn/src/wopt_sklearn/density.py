"""The density of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from wopt_sklearn.fitting import LEAST_ROWS, fitted_flow

_BLOCK = {"name": "autoregressive", "transforms": 2, "hidden": [32, 32]}


class FlowDensity(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The density of rows by one proximal step of an autoregressive flow.

    The defaults are small and quick; :func:`wopt.fit` has every option, and a fitted ``flow_``
    every method of :class:`wopt.Flow`. If the step is rejected, the model is the Gaussian of the
    rows, and a ``ConvergenceWarning`` is issued.

    Like any pickle, one of this estimator runs code when it is loaded: load only your own.
    ``flow_.save(path)`` and :func:`wopt.load` are safe.

    Args:
        block: The maps: a name, or a table with ``name`` and options.
        iterations: Iterations of training.
        step_size: h of the step; a large one follows the data, a small one stays near a Gaussian.
        learning_rate: Peak learning rate.
        batch_size: Rows in an iteration.
        weight_decay: Decoupled weight decay, against overfitting.
        preprocess: ``whiten``, ``gaussianise``, ``standardise`` or ``none``.
        options: Further arguments of :func:`wopt.fit`, which override these.
        random_state: Seed of splits, training and :meth:`sample`.

    Attributes:
        flow_: The fitted :class:`wopt.Flow`.
        n_features_in_: Number of columns.

    Example:
        >>> rows = np.random.default_rng(0).normal(3.0, 2.0, (200, 1))
        >>> model = FlowDensity(iterations=20, random_state=0).fit(rows)
        >>> model.sample(5).shape, model.score_samples(rows).shape
        ((5, 1), (200,))
    """

    def __init__(
        self,
        block: Any = None,
        *,
        iterations: int = 200,
        step_size: float = 100.0,
        learning_rate: float = 5e-3,
        batch_size: int = 256,
        weight_decay: float = 0.0,
        preprocess: str = "whiten",
        options: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.block = block
        self.iterations = iterations
        self.step_size = step_size
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.preprocess = preprocess
        self.options = options
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> FlowDensity:
        """Fit the flow to rows.

        Args:
            X: Rows, shape ``(n, d)``, finite numbers, at least 10 of them.
            y: Ignored.

        Raises:
            ValueError: The rows or options cannot be used.
        """
        rows = validate_data(self, X, dtype=np.float64, ensure_min_samples=LEAST_ROWS)
        chance = check_random_state(self.random_state)
        table = self._table() | {"seed": int(chance.randint(2**31 - 1))}
        self.flow_ = fitted_flow(rows, table | dict(self.options or {}))
        return self

    def score_samples(self, X: Any) -> Any:
        """Return the log-density at rows, nats, shape ``(n,)``."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        with torch.no_grad():
            return self.flow_.log_prob(torch.tensor(rows)).double().numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean log-density of rows, nats; larger is better."""
        return float(np.mean(self.score_samples(X)))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Return samples, shape ``(n_samples, d)``, by default by the seed of the estimator."""
        check_is_fitted(self)
        seed = self.random_state if random_state is None else random_state
        rng = torch.Generator().manual_seed(int(check_random_state(seed).randint(2**31 - 1)))
        return self.flow_.sample(n_samples, generator=rng).double().numpy()

    def _table(self) -> dict[str, Any]:
        """Return the arguments of ``wopt.fit``."""
        return {
            "block": _BLOCK if self.block is None else self.block,
            "scheme": {"name": "jko", "step_size": self.step_size},
            "solver": {
                "iterations": self.iterations,
                "learning_rate": self.learning_rate,
                "batch_size": self.batch_size,
                "weight_decay": self.weight_decay,
            },
            "guard": {"retries": 1},
            "stop": {"steps": 1},
            "preprocess": self.preprocess,
        }
