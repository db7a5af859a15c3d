"""Option types that several components share, with their checks and descriptions."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, BeforeValidator, Field


def plain(value: Any) -> Any:
    """Turn arrays and tensors, of any shape, into lists, so that Python may give them."""
    return value.tolist() if hasattr(value, "tolist") else value


def _finite(value: Any) -> Any:
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, list):
            _finite(number)
        elif number is not None and not math.isfinite(number):
            raise ValueError(f"needs finite numbers, got {number}")
    return value


def _positive(value: float | list[float] | None) -> float | list[float] | None:
    values = value if isinstance(value, list) else [1.0 if value is None else value]
    if not values or min(values) <= 0:
        raise ValueError(f"needs positive numbers, got {value}")
    return value


def _covariance(rows: list[list[float]] | None) -> list[list[float]] | None:
    if rows is None:
        return None
    if not rows or any(len(row) != len(rows) for row in rows):
        raise ValueError(f"a covariance is a square matrix, got rows of {[len(r) for r in rows]}")
    matrix = torch.tensor(rows, dtype=torch.float64)
    gap = float((matrix - matrix.T).abs().max())
    if gap > 1e-8 * float(matrix.abs().max()):
        raise ValueError(
            f"a covariance must be symmetric positive definite; this one is not symmetric (two "
            f"mirrored entries differ by {gap:.3g})"
        )
    least = float(torch.linalg.eigvalsh(matrix)[0])
    if least <= 0 or int(torch.linalg.cholesky_ex(matrix).info) != 0:
        raise ValueError(
            f"a covariance must be symmetric positive definite; this one is symmetric but its "
            f"least eigenvalue is {least:.3g}"
        )
    return rows


def _covariances(matrices: list[list[list[float]]] | None) -> list[list[list[float]]] | None:
    for k, matrix in enumerate(matrices or []):
        try:
            _covariance(matrix)
        except ValueError as error:
            raise ValueError(f"component {k}: {error}") from None
    return matrices


def _rectangle(rows: list[list[float]]) -> list[list[float]]:
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(
            f"needs one list of d numbers for each component, got lengths {[len(r) for r in rows]}"
        )
    return rows


_Numbers = BeforeValidator(plain)
_Finite = AfterValidator(_finite)

Mean = Annotated[
    float | list[float],
    _Numbers,
    _Finite,
    Field(description="the mean: one number for all coordinates, or one for each"),
]
Scale = Annotated[
    float | list[float],
    _Numbers,
    _Finite,
    AfterValidator(_positive),
    Field(description="standard deviation: one number, or one for each coordinate"),
]
Covariance = Annotated[
    list[list[float]] | None,
    _Numbers,
    _Finite,
    AfterValidator(_covariance),
    Field(description="covariance matrix, symmetric positive definite; instead of `scale`"),
]
Means = Annotated[
    list[list[float]],
    _Numbers,
    AfterValidator(_rectangle),
    _Finite,
    Field(description="the components' means, k lists of d numbers"),
]
Weights = Annotated[
    list[float] | None,
    _Numbers,
    _Finite,
    AfterValidator(_positive),
    Field(description="the components' weights, divided by their sum; equal by default"),
]
Scales = Annotated[
    float | list[float],
    _Numbers,
    _Finite,
    AfterValidator(_positive),
    Field(description="standard deviation: one number, or one for each component"),
]
Covariances = Annotated[
    list[list[list[float]]] | None,
    _Numbers,
    _Finite,
    AfterValidator(_covariances),
    Field(description="the components' covariance matrices; instead of `scale`"),
]

Size = Annotated[int, Field(ge=2, description="number of samples in this split")]
