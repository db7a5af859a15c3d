"""The estimators of the package wopt-sklearn by their first name, ``wopt.sklearn.FlowDensity``."""

from __future__ import annotations

from typing import Any

import wopt


def __getattr__(name: str) -> Any:
    """Return an estimator that wopt-sklearn adds to ``wopt``."""
    if not name.startswith("Flow"):
        raise AttributeError(f"module 'wopt.sklearn' has no attribute {name!r}")
    return getattr(wopt, name)
