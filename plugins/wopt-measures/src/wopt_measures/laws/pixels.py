"""The law of a drawing: a mixture of one small Gaussian per pixel, evaluated exactly and fast."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt_measures.laws.gaussian import KnownLaw, check_dim, check_points

_REACH = 6
"""Pixels on either side that are summed: those beyond are more than 13 standard deviations away."""
_TRUSTED = 1e-22
"""A sum above this cannot be changed by the pixels left out, which hold exp(-13^2/2) = 2e-37."""


@dataclasses.dataclass(eq=False)
class PixelLaw(KnownLaw):
    """The law  p(x) = sum_ij w_ij N(x_0; g_j, s_0^2) N(x_1; g_i, s_1^2)  of an h x w picture.

    The centres are the product grid linspace(-4, 4, w) x linspace(-4, 4, h) and the standard
    deviations s = (4/w, 4/h), half a pixel. A density is summed over the pixels around the point,
    which is exact to 1e-15 near dark pixels; far away the whole picture is summed, in
    logarithms.

    Attributes:
        weights: Weights w, shape ``(h, w)``, summing to one, float64.

    Example:
        >>> law = PixelLaw(torch.eye(2).double() / 2)  # two dots, at (-4, -4) and (4, 4)
        >>> round(float(law.log_prob(torch.tensor([[4.0, 4.0]]).double())), 6)  # log 1/(16 pi)
        -3.917318
    """

    weights: Tensor
    dim = 2

    @property
    def _spread(self) -> tuple[float, float]:
        height, width = self.weights.shape
        return 4 / width, 4 / height

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, 2)``: pixel centres by weight, plus noise."""
        check_dim(dim, self.dim)
        height, width = self.weights.shape
        pixel = torch.multinomial(self.weights.flatten(), n, replacement=True, generator=rng)
        noise = torch.randn(n, 2, generator=rng, dtype=torch.float64)
        centres = torch.stack([_axis(width)[pixel % width], _axis(height)[pixel // width]], dim=1)
        return centres + noise * torch.tensor(self._spread, dtype=torch.float64)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, 2)`` to ``(n,)``, float64 on the CPU."""
        check_points(x, 2)
        x = x.to("cpu", torch.float64)
        return torch.cat([self._near(part) for part in torch.split(x, 20_000)])

    def _near(self, x: Tensor) -> Tensor:
        pad, (s0, s1) = _REACH, self._spread
        height, width = self.weights.shape
        padded = torch.nn.functional.pad(self.weights, (pad, pad, pad, pad))
        columns, across = _window(x[:, 0], width, s0)
        rows, down = _window(x[:, 1], height, s1)
        around = padded[(rows + pad)[:, :, None], (columns + pad)[:, None, :]]
        total = torch.einsum("nij,ni,nj->n", around, down, across)
        near = total > _TRUSTED
        far = (~near).nonzero()[:, 0]
        # The clamp keeps gradients finite where the other branch is taken.
        log = torch.where(near, total, 1.0).log() - math.log(2 * math.pi * s0 * s1)
        if len(far) == 0:
            return log
        return log.index_put((far,), self._anywhere(x[far]))

    def _anywhere(self, x: Tensor) -> Tensor:
        height, width = self.weights.shape
        spread = torch.tensor(self._spread, dtype=torch.float64)
        row, column = self.weights.nonzero(as_tuple=True)
        centres = torch.stack([_axis(width)[column], _axis(height)[row]], dim=1) / spread
        weight = self.weights[row, column].log() - math.log(2 * math.pi) - spread.log().sum()
        logs = [
            (weight - (part[:, None] / spread - centres).square().sum(2) / 2).logsumexp(1)
            for part in torch.split(x, max(1, 2_000_000 // len(centres)))
        ]
        return torch.cat(logs)

    def entropy(self, per_pixel: int = 4) -> float:
        """Return -int p log p in nats, by the trapezoidal rule on a grid finer than the pixels.

        The rule converges exponentially for such smooth integrands; four nodes per pixel are two
        per standard deviation.
        """
        height, width = self.weights.shape
        s0, s1 = self._spread
        x, across = _nodes(width, s0, per_pixel)
        y, down = _nodes(height, s1, per_pixel)
        half = self.weights @ across.T
        total = 0.0
        for part in torch.split(down, 256):
            p = part @ half
            total -= float(torch.xlogy(p, p).sum())
        return total * x * y


def _axis(count: int) -> Tensor:
    return torch.linspace(-4, 4, count, dtype=torch.float64)


def _window(x: Tensor, count: int, spread: float) -> tuple[Tensor, Tensor]:
    """Return the pixels around each coordinate and exp(-z^2/2) of their distances."""
    pixel = 8 / (count - 1)
    nearest = ((x.detach() + 4) / pixel).round().clamp(0, count - 1).long()
    near = nearest[:, None] + torch.arange(-_REACH, _REACH + 1)
    # .double(), because integers times a Python number are float32.
    return near, (-((x[:, None] + 4 - near.double() * pixel) / spread).square() / 2).exp()


def _nodes(count: int, spread: float, per_pixel: int) -> tuple[float, Tensor]:
    """Return the step and the pixels' densities at the nodes, shape ``(nodes, pixels)``."""
    step = 8 / (count - 1) / per_pixel
    margin = math.ceil(10 * spread / step)
    nodes = -4 + step * torch.arange(-margin, per_pixel * (count - 1) + margin + 1).double()
    z = (nodes[:, None] - _axis(count)) / spread
    return step, (-z.square() / 2).exp() / (spread * math.sqrt(2 * math.pi))
