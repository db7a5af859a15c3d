"""What the estimators share: a fit that raises what scikit-learn expects, and split rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

import wopt

LEAST_ROWS = 10
"""Least number of rows."""


def fractions(n: int) -> tuple[float, float, float]:
    """Return the parts that train, judge and test: the test part is one row, which is not used.

    Example:
        >>> fractions(20)
        (0.85, 0.1, 0.05)
    """
    held_out = max(2, n // 10)
    return (n - held_out - 1) / n, held_out / n, 1 / n


def fitted_flow(
    rows: np.ndarray[Any, Any], options: Mapping[str, Any], conditions: Any = None
) -> wopt.Flow:
    """Return the flow of rows, in float64, by :func:`wopt.fit`.

    Args:
        rows: Rows, shape ``(n, d)``.
        options: Arguments of :func:`wopt.fit`.
        conditions: Conditions, shape ``(n, c)``.

    Raises:
        ValueError: The rows or options cannot be used.
    """
    given: dict[str, Any] = {} if conditions is None else {"conditions": torch.tensor(conditions)}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the fit failed", RuntimeWarning)
            solution = wopt.fit(
                torch.tensor(rows), **({"split": fractions(len(rows))} | given | dict(options))
            )
    except wopt.WoptError as error:
        raise ValueError(str(error)) from error
    if not solution.state.blocks:
        warnings.warn(
            f"the model is the Gaussian of the rows: {solution.reason}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return solution.flow.double()  # scores of a row must not depend on the others


def split_off(n: int, fraction: float, chance: np.random.RandomState) -> tuple[Any, Any]:
    """Return the indices of the rows that train, and of a fraction that calibrates.

    Example:
        >>> [len(part) for part in split_off(50, 0.1, np.random.RandomState(0))]
        [45, 5]
    """
    order = chance.permutation(n)
    few = round(fraction * n)
    return order[few:], order[:few]
