"""Maps of intervals to the line: the logarithm of a half-line, the logit of an interval."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["from_line", "log_slope", "to_line"]


def to_line(x: Tensor, low: float, high: float) -> Tensor:
    """Return log (x - a), -log (b - x) or log ((x - a) / (b - x)), of the shape of x, finite.

    Example:
        >>> to_line(torch.tensor([0.5, 0.75]), 0.0, 1.0).tolist()
        [0.0, 1.0986123085021973]
    """
    if math.isinf(high):
        return _distance(x - low, low).log()
    if math.isinf(low):
        return -_distance(high - x, high).log()
    return _distance(x - low, low).log() - _distance(high - x, high).log()


def from_line(y: Tensor, low: float, high: float) -> Tensor:
    """Return the inverse of :func:`to_line`, of the shape of y, always in ``[low, high]``."""
    if math.isinf(high):
        return (low + y.exp()).clamp(min=low)
    if math.isinf(low):
        return (high - (-y).exp()).clamp(max=high)
    # From the nearer end, so that digits are kept on either side.
    width = high - low
    near = torch.where(y < 0, low + width * y.sigmoid(), high - width * (-y).sigmoid())
    return near.clamp(low, high)


def log_slope(x: Tensor, low: float, high: float) -> Tensor:
    """Return the log-derivative of :func:`to_line`, of the shape of x; -infinity outside.

    Example:
        >>> log_slope(torch.tensor([2.0, -1.0]), 0.0, math.inf).tolist()  # of log x: -log x
        [-0.6931471824645996, -inf]
    """
    total = torch.zeros_like(x)
    if not math.isinf(low):
        total = total - _distance(x - low, low).log()
    if not math.isinf(high):
        total = total - _distance(high - x, high).log()
    if not math.isinf(low) and not math.isinf(high):
        total = total + math.log(high - low)
    return torch.where((x < low) | (x > high), -math.inf, total)


def _distance(x: Tensor, end: float) -> Tensor:
    """Return distances to an end, at least the spacing of numbers there, for finite logs."""
    info = torch.finfo(x.dtype)
    return x.clamp(min=max(info.eps * abs(end), info.tiny))
