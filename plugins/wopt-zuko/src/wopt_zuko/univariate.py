"""Monotone functions of one variable whose parameters at zero are the identity."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from zuko.transforms import (
    BoundedBernsteinTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
)

from wopt.statistics import some

UnivariateName = Literal[
    "MonotonicAffineTransform", "MonotonicRQSTransform", "BoundedBernsteinTransform"
]
"""The transforms of zuko that are the identity where their parameters are zero.

Others are left out: ``SOSPolynomialTransform`` is x (1 + slope) at zero,
``GaussianizationTransform`` bends the tails, and the neural ones (NAF, UNAF) are inverted on an
interval only: see ``neural``.
"""

SLOPE = 1e-3
"""Smallest slope of the affine maps (the largest is its inverse) and, about, of the splines."""

_LEAST_BOUND = 5.0
_SHARE, _MARGIN = 0.999, 1.5


class Univariate(nn.Module):
    """Makes a transform of R from unconstrained parameters, zuko's ``univariate``.

    Attributes:
        shapes: Shapes of the parameters of one coordinate.
    """

    shapes: tuple[tuple[int, ...], ...]


class AffineUnivariate(Univariate):
    """exp(a) x + b, with |a| bounded by log(1/slope)."""

    shapes = ((), ())

    def forward(self, shift: Tensor, scale: Tensor) -> Any:
        """Return the transform of parameters of shape ``(..., d)``."""
        return MonotonicAffineTransform(shift, scale, slope=SLOPE)


class Boxed(Univariate):
    """A transform that acts on [-B, B] and is the identity outside.

    Without a bound, B is 1.5 times the 99.9 % quantile of the particles' |coordinates|, and at
    least 5, which is also about the value for a standard normal. Particles farther out do not move.
    """

    bound: Tensor

    def __init__(self, bound: float | None) -> None:
        super().__init__()
        self.fixed = bound is not None
        # A buffer, so that a bound taken from the particles is saved with the parameters.
        self.register_buffer("bound", torch.tensor(bound or _LEAST_BOUND))

    def initialise(self, points: Tensor) -> None:
        """Choose the bound by points, shape ``(n, d)``, unless it was given."""
        if not self.fixed:
            sizes = some(points).detach().abs().flatten()
            rank = max(1, round(_SHARE * len(sizes)))
            self.bound.fill_((_MARGIN * sizes.kthvalue(rank).values).clamp(min=_LEAST_BOUND))


class Spline(Boxed):
    """The monotone rational-quadratic spline of Durkan, Bekasov, Murray, Papamakarios, 2019.

    At zero all bins have one width and one height and all knots the slope 1: the identity.
    """

    def __init__(self, pieces: int, bound: float | None) -> None:
        super().__init__(bound)
        self.shapes = ((pieces,), (pieces,), (pieces - 1,))

    def forward(self, widths: Tensor, heights: Tensor, derivatives: Tensor) -> Any:
        """Return the transform for ``(..., d, K)``, ``(..., d, K)``, ``(..., d, K - 1)``."""
        return MonotonicRQSTransform(widths, heights, derivatives, bound=self.bound, slope=SLOPE)


class Bernstein(Boxed):
    """The monotone Bernstein polynomial of Arpogaus et al., 2022, with slope 1 at both ends.

    At zero the coefficients are equidistant, and a Bernstein polynomial reproduces straight lines.
    """

    def __init__(self, pieces: int, bound: float | None) -> None:
        super().__init__(bound)
        self.shapes = ((pieces + 1,),)

    def forward(self, theta: Tensor) -> Any:
        """Return the transform of parameters of shape ``(..., d, pieces + 1)``."""
        # At distance eps from the ends zuko continues by straight lines, with a jump of 2 B eps;
        # eps is also the accuracy of the bisection, so its default, 1e-6, would be the inverse's
        # error.
        return BoundedBernsteinTransform(theta, bound=float(self.bound), eps=1e-10)


def make(name: UnivariateName, pieces: int, bound: float | None) -> Univariate:
    """Return zuko's transform by name; ``pieces`` is its number of bins or its degree."""
    if name == "MonotonicAffineTransform":
        return AffineUnivariate()
    return (Spline if name == "MonotonicRQSTransform" else Bernstein)(pieces, bound)
