"""Estimates: values measured on samples, with confidence intervals."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces import Objective
from wopt.particles import Particles
from wopt.statistics import mean_and_error
from wopt.typed import Number, Typed

Method = Literal["gradient", "score", "critic", "affine", "record"]
"""The method of a first-order error. ``gradient``: from the Wasserstein gradient at the particles,
of an objective of the points alone. ``score``: with the pushed score of the start. ``critic``,
``affine``: by test fields, so a lower bound up to sampling error. ``record``: the affine estimate
of the run itself."""

_FAR = 5.0
"""Standard errors below zero beyond which sampling noise is ruled out."""
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class Estimate(Typed):
    """A value with its standard error and a confidence interval.

    Attributes:
        value: The estimate of a quantity that cannot be negative, cut off at zero.
        error: Its standard error; zero for quadrature nodes.
        low, high: Ends of the interval, not below zero.
        raw: The measured value, which may be negative; ``None`` stands for ``value``.
    """

    value: Number
    error: Number
    low: Number
    high: Number
    raw: float | None = None
    label: Literal["estimate"] = "estimate"

    @property
    def impossible(self) -> bool:
        """Whether it is so far below zero that an assumption must be false."""
        return self.raw is not None and self.raw < -(_FAR * self.error + _ROUNDING)

    @classmethod
    def of(cls, value: float, error: float, level: float) -> Estimate:
        """Return an estimate of a quantity that cannot be negative, by the normal law.

        Args:
            value: The measured value; sampling noise may make it negative, for which the interval
                allows; a value far below zero is ``impossible``.
            level: Confidence of the interval, in (0, 1).
        """
        half = statistics.NormalDist().inv_cdf((1 + level) / 2) * error
        shown = max(value, 0.0)
        # A value below zero is noise, so the interval still allows for half a width above zero.
        return cls(
            shown, error, max(value - half, 0.0), shown + half, None if value >= 0 else value
        )


@dataclasses.dataclass(frozen=True)
class MethodEstimate(Estimate):
    """An estimate of a first-order error, with the method that gave it."""

    by: Method = dataclasses.field(kw_only=True)

    @property
    def by_fields(self) -> bool:
        """Whether the estimate contains only what a class of test fields can see."""
        return self.by in ("critic", "affine", "record")


def combine(parts: Sequence[tuple[float, float]], level: float) -> Estimate:
    """Return the mean of (value, standard error) pairs, whose errors may be fully correlated."""
    value = sum(v for v, _ in parts) / len(parts)
    return Estimate.of(value, sum(e for _, e in parts) / len(parts), level)


def root_mean_square(squares: Tensor, weights: Tensor | None, level: float) -> Estimate:
    """Return the root of the mean of ``squares``, shape ``(n,)``, by the delta method.

    The unit is the square root of the squares' unit; ``weights`` of shape ``(n,)`` sum to one.
    """
    squares = squares.double()
    mean, error = mean_and_error(squares, weights)
    root = math.sqrt(max(mean, 0.0))
    return Estimate.of(root, error / (2 * root) if root else 0.0, level)


def divergence(objective: Objective, at: Particles, level: float) -> Estimate | None:
    """Return KL(rho | q), the mean of log rho - log q in nats.

    Return ``None`` unless both densities are known and KL is the objective.
    """
    target = objective.target
    if at.log_density_start is None or at.log_det is None or target is None:
        return None
    if not objective.gap_is_kl or Capability.NORMALISED not in target.provides:
        return None
    values = (at.log_density + target.potential(at.points)).double()
    return Estimate.of(*mean_and_error(values, at.weights), level)
