"""The chi-squared divergence."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

import wopt
from wopt_functionals.density.ratio import RatioObjective, is_convex
from wopt_functionals.options import NormalisedTarget

__all__ = ["Chi2"]


@final
class Chi2(RatioObjective):
    """The chi-squared divergence to a normalised target q.

        G(rho) = int rho^2/q - 1 = E[rho/q] - 1.

    Convex along generalised geodesics (lambda = 0) if V = -log q is convex; zero at q. It is
    infinite where rho has heavier tails than q (between Gaussians: variance 2 s or more against
    s); start narrow. Where the constant of q is not known, ``renyi_divergence`` of order 2, its
    logarithm, can be used.

    Source: docs/theory 2, row 7, with proof; Ohta, Takatsu, Displacement convexity of
    generalized relative entropies, 2011.

    Example:
        >>> from wopt.testing import GaussianTarget, gaussian_nodes
        >>> one = torch.eye(1, dtype=torch.float64)
        >>> g = Chi2(GaussianTarget([0.0], [[1.0]]))
        >>> round(float(g.energy(gaussian_nodes(one[0], one, order=30))), 6)  # e - 1
        1.718282
    """

    cites = ("ohta2011",)
    minimum = 0.0

    def __init__(self, target: NormalisedTarget = wopt.named("gaussian")) -> None:
        self.target = target
        self.convexity = 0.0 if is_convex(target) else None

    def value(self, t: Tensor) -> Tensor:
        """Return e^t - 1, in the shape of t."""
        return torch.expm1(t)
