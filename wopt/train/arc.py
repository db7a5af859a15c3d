"""Step sizes of equal arc length."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

__all__ = ["respace"]


def respace(step_sizes: Sequence[float], distances: Sequence[float], steps: int) -> list[float]:
    """Return ``steps`` step sizes of the same total time and of equal arc length.

    With t_k = h_1 + ... + h_k and s_k = w_1 + ... + w_k (w_k the distance that step k moved the
    particles) the curve t(s) is interpolated linearly, and

        h_n = t((n + 1) s_N / N') - t(n s_N / N'),    n = 0, ..., N' - 1.

    Source: the reparameterisation of Xu, Cheng, Xie, *Normalizing flow neural networks by JKO
    scheme*, 2023, whose fixed point, steps that move equally far, is the same.

    Args:
        step_sizes: Step size h of each step made.
        distances: Distance that each step moved the particles.
        steps: Number N' of step sizes to return.

    Example:
        >>> respace([0.75, 1.0], [3.0, 1.0], 2)  # the first step went too far
        [0.5, 1.25]
    """
    time, length = (np.cumsum([0.0, *values]) for values in (step_sizes, distances))
    at = np.interp(np.linspace(0.0, length[-1], steps + 1), length, time)
    # np.interp returns the last of equal abscissae; a pause at the end belongs to the last step.
    at[-1] = time[-1]
    return [float(b - a) for a, b in itertools.pairwise(at)]
