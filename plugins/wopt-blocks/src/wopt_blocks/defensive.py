"""A map for tails: what is far out becomes as likely as under a heavy-tailed law."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

_MOST = 200
"""Largest number of Newton's steps of the inverse, which come from one side."""


class DefensiveTails(nn.Module):
    """G_i = Phi^-1 o ((1 - e_i) Phi + e_i F), F of Student's law with two degrees of freedom.

    It is the last map of a flow to N(0, I). Its coordinates then have the base law

        (1 - e_i) N(0, 1) + e_i t_2,    e_i = n^(-exp(-|a_i|)),

    with a_i trained from 0 and n the number of particles. A part e >= 1/n is defensive: what is far
    from all particles costs about log n + 3 log |z| nats, and not z^2/2. On particles it costs at
    most 1/n.

    Source: Owen, Zhou, *Safe and effective importance sampling*, 2000 (defensive mixtures).
    """

    log_rows: Tensor
    log_width: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(dim, 1))
        # Before it has seen particles it is the identity, to rounding.
        self.register_buffer("log_rows", torch.tensor(40.0))
        self.register_buffer("log_width", torch.tensor(0.0))

    def initialise(self, points: Tensor) -> None:
        """Take the number of points, shape ``(n, d)``, as n."""
        self.log_rows.fill_(math.log(max(3, len(points))))

    def calibrate(self, y: Tensor) -> None:
        """Take the width from images of held-out points at the width before, of any shape.

        It is their root mean square, the best one for N(0, I), but at least that of particles, 1.
        """
        self.log_width += y.square().mean().log() / 2
        self.log_width.clamp_(min=0)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return G(z)/s and the logarithm of its slope, shapes ``(d, n)``, of columns z."""
        y, log_slope = self._curved(z)
        width = self._log_width
        return y * (-width).exp(), log_slope - width

    @property
    def _log_width(self) -> Tensor:
        return torch.zeros_like(self.log_width) if self.training else self.log_width

    def _curved(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_part, part = self._part()
        far = z.abs()
        square = 2 + far.square()
        beyond = (1 - part) * _beyond(far) + part / (square + far * square.sqrt())
        y = -torch.special.ndtri(beyond.clamp_min(torch.finfo(z.dtype).tiny))
        inner = torch.log1p(-part) - far.square() / 2 - _LOG_ROOT
        log_density = torch.logaddexp(inner, log_part - 1.5 * square.log())
        return y * z.sign(), log_density + y.square() / 2 + _LOG_ROOT

    @torch.no_grad()
    def _searched(self, y: Tensor) -> Tensor:
        """Return |z| for y >= 0, by Newton's steps from below: G is less than z and concave."""
        _, part = self._part()
        out = (_beyond(y) / part).clamp(torch.finfo(y.dtype).tiny, 0.5)
        z = torch.maximum(y, (1 - 2 * out) / (2 * out * (1 - out)).sqrt())
        for _ in range(_MOST):
            at, log_slope = self._curved(z)
            step = ((y - at) * (-log_slope).exp()).clamp_min(0)
            z = z + step
            if bool((step <= 2 * torch.finfo(y.dtype).eps * (1 + z)).all()):
                break
        return z

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return z with G(z)/s = y and the inverse's log-slope, shapes ``(d, n)``."""
        width = self._log_width
        y = y * width.exp()
        size = y.abs()
        z = self._searched(size.detach())
        at, log_slope = self._curved(z)
        if torch.is_grad_enabled():  # the derivative of the inverse, by the implicit function
            z = z + (size - at) * (-log_slope.detach()).exp()
        return z * y.sign(), width - log_slope

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f"{prefix}log_width", self.log_width)  # it was not saved once
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _part(self) -> tuple[Tensor, Tensor]:
        # |a| with the derivative 1 at 0, where training begins.
        size = torch.where(self.raw < 0, -self.raw, self.raw)
        log_part = -self.log_rows * (-size).exp()
        return log_part, log_part.exp()


_LOG_ROOT = math.log(2 * math.pi) / 2


def _beyond(z: Tensor) -> Tensor:
    """Return 1 - Phi(z) without cancellation, of any shape."""
    return torch.erfc(z * math.sqrt(0.5)) / 2
