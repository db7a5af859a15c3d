"""What regression and classification share: their options, and the features that they use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data


class ConditionalEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator by one conditional flow, of which a fraction of the rows calibrates the answers.

    Args:
        budget: CPU seconds of training, a number or ``"5min"``.
        calibration: Fraction of the rows that calibrates; 0 for none.
        options: Further arguments of :func:`wopt.fit`. With a block or a solver among them the
            budget is not used.
        random_state: Seed of splits, training and samples.
    """

    def __init__(
        self,
        budget: float | str = 60.0,
        *,
        calibration: float = 0.1,
        options: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.budget = budget
        self.calibration = calibration
        self.options = options
        self.random_state = random_state

    def _fit_options(self, chance: np.random.RandomState) -> dict[str, Any]:
        """Return the arguments of :func:`wopt.fit`."""
        options = {"seed": int(chance.randint(2**31 - 1))} | dict(self.options or {})
        if not {"block", "blocks", "solver"} & options.keys():
            options = {"budget": self.budget} | options
        return options

    def _features(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False)
