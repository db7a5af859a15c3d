"""The forward, mass-covering, divergence KL(q | rho)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

import wopt
from wopt_functionals.density.ratio import RatioObjective
from wopt_functionals.options import NormalisedTarget

__all__ = ["ForwardKL", "reverse"]


@final
class ForwardKL(RatioObjective):
    """The divergence KL(q | rho) of a normalised target q, by importance weights.

        G(rho) = int q log(q/rho) = E[w log w - w + 1],    w = q/rho.

    The last two terms have mean zero and make every contribution non-negative. Particles give
    rho's density only where they are, so the mean is over rho and not over q: mass of q in a
    place without particles is not counted. Start from a measure that covers q.

    Not geodesically convex, not even between Gaussians; zero at q.

    Source: docs/theory 2, row 4.

    Example:
        >>> from wopt.testing import GaussianTarget, gaussian_nodes
        >>> one = torch.eye(1, dtype=torch.float64)
        >>> g = ForwardKL(GaussianTarget([0.0], [[1.0]]))
        >>> round(float(g.energy(gaussian_nodes(one[0], one, order=40))), 6)  # |m - n|^2/2
        0.5
    """

    cites = ()
    minimum = 0.0

    def __init__(self, target: NormalisedTarget = wopt.named("gaussian")) -> None:
        self.target = target

    def value(self, t: Tensor) -> Tensor:
        """Return w log w - w + 1 for w = e^-t, in the shape of t."""
        return reverse(t)


def reverse(t: Tensor) -> Tensor:
    """Return h(t) of f(s) = -log s + s - 1, in the shape of t, precise near t = 0."""
    return -t * torch.exp(-t) - torch.expm1(-t)
