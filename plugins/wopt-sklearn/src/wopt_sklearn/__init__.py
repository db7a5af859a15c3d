"""Flows as estimators of scikit-learn: densities, regression with quantiles, classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_sklearn.classifier import FlowClassifier as FlowClassifier
    from wopt_sklearn.density import FlowDensity as FlowDensity
    from wopt_sklearn.regressor import FlowRegressor as FlowRegressor

__getattr__, __dir__ = exports(__name__, __file__)
