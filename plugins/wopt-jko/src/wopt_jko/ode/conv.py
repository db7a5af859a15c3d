"""The velocity net of grey images: a convolution, then the same small net at every pixel."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wopt import ConfigError
from wopt_jko.ode.deep import DeepVelocity
from wopt_jko.ode.velocity import Field, NetShape


@dataclasses.dataclass(frozen=True)
class Window:
    """The part of its image that a pixel's velocity depends on.

    Attributes:
        image: Height and width, in pixels; ``None``: a square. Rows may lack some of its last
            row's last pixels, as those of patches do whose mean was taken away.
        dilations: Distances of neighbouring taps, one kernel each.
        limit: Bound l: x is seen as l tanh(x / l), so that one pixel far from all training values
            does not carry its neighbours away; ``None`` leaves x as it is.
    """

    image: tuple[int, int] | None = None
    kernel: int = 5
    dilations: tuple[int, ...] = (1,)
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ConfigError(f"window: kernel = {self.kernel}: it must be odd, to have a middle")
        if not self.dilations or min(self.dilations) < 1:
            raise ConfigError("window: dilations: one whole number of at least 1 for each kernel")
        if self.limit is not None and not self.limit > 0:
            raise ConfigError(f"window: limit = {self.limit:g}: it must be positive, say 8")

    @property
    def taps(self) -> int:
        """Count of values in a pixel's window; its own value occurs once for each kernel."""
        return len(self.dilations) * self.kernel**2

    def sides(self, pixels: int) -> tuple[int, int]:
        """Return height and width of images of so many pixels, or of some more in the last row."""
        side = math.isqrt(pixels)
        height, width = self.image or (side, side)
        lacking = height * width - pixels
        if lacking if self.image is None else not 0 <= lacking < width:
            note = "is not a square" if self.image is None else f"is not {height} x {width} pixels"
            raise ConfigError(
                f'ODEBlock: net = "conv": a row of {pixels} coordinates {note}; set '
                "`window.image = [height, width]`, with rows that hold every pixel but for some of "
                "the last row's last ones"
            )
        return height, width

    def seen(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return values that windows show and their slopes, in the shape of z; ``None`` for 1.

        Example:
            >>> value, slope = Window(limit=8.0).seen(torch.tensor([0.0, 1.0, 190.0]))
            >>> [round(float(x), 2) for x in value], [round(float(x), 2) for x in slope]
            ([0.0, 0.99, 8.0], [1.0, 0.98, 0.0])
        """
        if self.limit is None:
            return z, None
        fraction = torch.tanh(z / self.limit)
        return self.limit * fraction, 1 - fraction.square()

    def of(self, z: Tensor, sides: tuple[int, int]) -> Tensor:
        """Return the windows of the m pixels of images ``(n, m)``, shape ``(n, m, taps)``.

        Beyond the edge, and at pixels that rows lack, there are zeros.
        """
        pixels = z.shape[1]
        images = F.pad(z, (0, sides[0] * sides[1] - pixels)).reshape(-1, 1, *sides)
        seen = [
            F.unfold(images, self.kernel, dilation=step, padding=step * (self.kernel // 2))
            for step in self.dilations
        ]
        return torch.cat(seen, dim=1)[..., :pixels].transpose(1, 2)


class ConvVelocity(DeepVelocity):
    """v_p = w . s(W_L s(... s(u_p) ...) + b_L) + b at every pixel p, zero at the start.

    Here

        u_p = sum_k W1_k x_{p+k} + w t + b1 + c_p

    is a convolution over the window of p with a bias c_p of its own, so that the net knows where
    it is. The later layers are the same at all pixels and do not mix them; so x_p comes into v_p by
    the middle taps alone, and with D_l the slopes of layer l at p

        div v = sum_p w^T D_L W_L ... D_1 W1_0

    is exact, at the price of one tangent a pixel: no probe, no noise. Along a flow what a pixel
    sees grows by a window at each evaluation. Where the window has a limit l, u_p is made of
    l tanh(x / l) in place of x, and the terms of div v have its slopes as factors. Pixels that rows
    lack are zeros in the windows of others and have no velocity, so all of this still holds.

    Source: Chen, Duvenaud, *Neural networks with cheap differential operators* (HollowNet), 2019
    (the exact trace of a net that is elementwise but for inputs from elsewhere).

    Args:
        shape: Sizes and activation; ``dim`` is the number m of pixels in a row.
    """

    def __init__(self, shape: NetShape, depth: int, window: Window) -> None:
        super().__init__(dataclasses.replace(shape, dim=window.taps), depth, outputs=1)
        self.window, self.sides = window, window.sides(shape.dim)
        self.place = nn.Parameter(torch.zeros(shape.dim, shape.width))
        self.closed = True

    def field(
        self, divergence: bool, given: Tensor | None = None, probe: Tensor | None = None
    ) -> Field:
        """Return (t, z) -> (v, its divergence or None), shapes ``(n, m)`` and ``(n,)``."""
        w1, shift = self.begin(given)
        place = self.sharpness * self.place
        layers = self.layers(self._middle(w1) if divergence else None)

        def velocity(t: float | Tensor, z: Tensor) -> tuple[Tensor, Tensor | None]:
            """Return v and, where asked for, its divergence, shapes ``(n, m)`` and ``(n,)``."""
            values, slopes = self.window.seen(z)
            seen = self.window.of(values, self.sides)
            u = self.product(seen.flatten(0, 1), w1).view(*seen.shape[:2], -1)
            v, rate = layers((u + place + shift(t).unsqueeze(-2)).flatten(0, 1))
            if rate is None:
                return v.reshape(z.shape), None
            rates = rate.reshape(z.shape)
            return v.reshape(z.shape), (rates if slopes is None else rates * slopes).sum(1)

        return velocity

    def _middle(self, w1: Tensor) -> Tensor:
        """Return the derivative of u_p by x_p, shape ``(1, width)``."""
        by_kernel = w1.reshape(len(self.window.dilations), self.window.kernel**2, -1)
        return by_kernel[:, self.window.kernel**2 // 2].sum(0, keepdim=True)
