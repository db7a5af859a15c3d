"""A map along rays: the norm of a point goes through a monotone spline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wopt_blocks.rational import inverse_spline, spline

_BINS = 16
_BOUND = 6.0
"""Half the side of the spline's box: norms from sqrt(d)/400 to 400 sqrt(d) are moved."""


class RadialMap(nn.Module):
    """z -> exp(u) z, with u = R(l) - l and l = log(|z| / sqrt(d)); the identity at the start.

    R is an increasing rational-quadratic spline on [-6, 6] and the identity outside, so this is an
    invertible map along rays, with log |det| = d u + log R'(l). It makes Gaussian what is spherical
    but has other tails, such as a scale mixture.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components of natural images
    using radial Gaussianization*, 2009, whose radial map is a histogram's.
    """

    bound: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(3 * _BINS - 1))
        self.register_buffer("bound", torch.tensor(_BOUND), persistent=False)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of columns z, shape ``(d, n)``, and the log-det in nats, ``(n,)``."""
        return self._along_rays(spline, z)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points mapped to y, shape ``(d, n)``, and the inverse's log-det, ``(n,)``."""
        return self._along_rays(inverse_spline, y)

    def _along_rays(
        self, function: Callable[..., tuple[Tensor, Tensor]], z: Tensor
    ) -> tuple[Tensor, Tensor]:
        d, n = z.shape
        # At the origin the logarithm is far outside the box, but finite, as its derivative is.
        log_radius = z.square().mean(0).clamp(min=torch.finfo(z.dtype).tiny).log() / 2
        raw = self.raw[:, None, None].expand(-1, 1, n)
        mapped, log_slope = function(raw, log_radius[None], self.bound)
        shift = mapped[0] - log_radius
        return z * shift.exp(), d * shift + log_slope[0]
