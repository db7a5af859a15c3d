"""The 2-D toy shapes: how to sample them, and their exact density where there is one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt_measures.laws.bent import BananaLaw
from wopt_measures.laws.gaussian import check_points
from wopt_measures.laws.known import ring
from wopt_measures.laws.mixture import MixtureLaw

TAU = 2 * math.pi


@dataclasses.dataclass(frozen=True)
class PlanarFamily:
    """A family of laws in the plane, by its noise s.

    noise: Default noise s.
    sample: Function of ``(n, s, generator)`` to points ``(n, 2)``, float64.
    log_prob: Function of ``(x, s)`` to log p in nats, shape ``(n,)``, where it is known exactly.
    entropy: Function of ``s`` to the entropy in nats, where it is known.
    """

    noise: float
    sample: Callable[[int, float, torch.Generator], Tensor]
    log_prob: Callable[[Tensor, float], Tensor] | None = None
    entropy: Callable[[float], float] | None = None


def _uniform(n: int, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng, dtype=torch.float64)


def _normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, 2, generator=rng, dtype=torch.float64)


def _polar(radius: Tensor | float, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def _moons(n: int, s: float, rng: torch.Generator) -> Tensor:
    """Two interleaved half circles of radius 2."""
    upper = (_uniform(n, rng) < 0.5).double()[:, None]
    arc = _polar(2.0, math.pi * _uniform(n, rng))
    lower = torch.tensor([2.0, 1.0], dtype=torch.float64) - arc
    middle = torch.tensor([1.0, 0.5], dtype=torch.float64)
    return upper * arc + (1 - upper) * lower - middle + s * _normal(n, rng)


RADII = (1.5, 3.0)


def _circles(n: int, s: float, rng: torch.Generator) -> Tensor:
    """Two circles around 0, radii 1.5 and 3, equally likely."""
    outer = _uniform(n, rng) < 0.5
    radius = torch.where(outer, RADII[1], RADII[0]).double()
    return _polar(radius, TAU * _uniform(n, rng)) + s * _normal(n, rng)


def _circles_at(distance: Tensor, s: float) -> Tensor:
    """Return log p at a distance t from 0: the mean over r of exp(-(t^2+r^2)/2s^2) I_0(tr/s^2)."""
    logs = [
        # i0e(z) = exp(-z) I_0(z) completes the square and stays finite.
        torch.special.i0e(distance * r / s**2).log() - ((distance - r) / s).square() / 2
        for r in RADII
    ]
    return torch.stack(logs).logsumexp(0) - math.log(len(RADII) * TAU * s**2)


def _circles_log_prob(x: Tensor, s: float) -> Tensor:
    return _circles_at(x.norm(dim=1), s)


def _circles_entropy(s: float) -> float:
    """Return -int_0^inf 2 pi t p log p dt by the trapezoidal rule with 50 nodes per deviation."""
    end = RADII[-1] + 12 * s
    t = torch.linspace(0, end, max(2000, math.ceil(50 * end / s)), dtype=torch.float64)
    log_prob = _circles_at(t, s)
    return -float(torch.trapezoid(TAU * t * log_prob.exp() * log_prob, t))


def _swiss_roll(n: int, s: float, rng: torch.Generator) -> Tensor:
    """A spiral of one and a half turns from radius 1.5 pi/5 to 4.5 pi/5."""
    t = 1.5 * math.pi * (1 + 2 * _uniform(n, rng))
    return _polar(t / 5, t) + s * _normal(n, rng)


def _spirals(n: int, s: float, rng: torch.Generator) -> Tensor:
    """Two spirals from 0 to radius pi, one and a half turns, half a turn apart."""
    t = 3 * math.pi * _uniform(n, rng).sqrt()
    sign = torch.where(_uniform(n, rng) < 0.5, 1.0, -1.0).double()
    return sign[:, None] * _polar(t / 3, t) + s * _normal(n, rng)


def _pinwheel(n: int, s: float, rng: torch.Generator) -> Tensor:
    """Five blades, each a Gaussian at radius 2 of deviations 0.6 and s, bent outwards."""
    blade = (5 * _uniform(n, rng)).floor()
    e = _normal(n, rng)
    along, across = 1 + 0.3 * e[:, 0], s * e[:, 1]
    angle = TAU * blade / 5 + 0.25 * along.exp()
    return 2 * torch.stack(
        [
            along * angle.cos() - across * angle.sin(),
            along * angle.sin() + across * angle.cos(),
        ],
        dim=1,
    )


def _checkerboard(n: int, _s: float, rng: torch.Generator) -> Tensor:
    """Uniform on the 8 squares of side 2 in [-4, 4]^2 whose indices have an even sum."""
    column = (4 * _uniform(n, rng)).floor()
    row = 2 * (2 * _uniform(n, rng)).floor() + column % 2
    corner = 2 * torch.stack([column, row], dim=1) - 4
    return corner + 2 * torch.rand(n, 2, generator=rng, dtype=torch.float64)


def _checkerboard_log_prob(x: Tensor, _s: float) -> Tensor:
    inside = (x.abs() < 4).all(1) & ((x / 2).floor().sum(1) % 2 == 0)
    return torch.where(inside, x.new_tensor(-math.log(32)), -math.inf)


def _ring(s: float) -> MixtureLaw:
    return ring(8, 4.0, s)


def _banana(s: float) -> BananaLaw:
    """Return the law of (u, v + u^2/4) for normal u, v of deviations 2 and s."""
    return BananaLaw(2, bend=0.25, centre=0.0, length=2.0, across=s)


def _planar(log_prob: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    def checked(x: Tensor, s: float) -> Tensor:
        """Return log p, shape ``(n,)``."""
        check_points(x, 2)
        return log_prob(x, s)

    return checked


SHAPES = {
    "banana": PlanarFamily(
        0.5,
        lambda n, s, g: _banana(s).sample(n, 2, g),
        lambda x, s: _banana(s).log_prob(x),
        lambda s: _banana(s).entropy,
    ),
    "checkerboard": PlanarFamily(
        0.0, _checkerboard, _planar(_checkerboard_log_prob), lambda _s: math.log(32)
    ),
    "circles": PlanarFamily(0.2, _circles, _planar(_circles_log_prob), _circles_entropy),
    "eight_gaussians": PlanarFamily(
        0.5,
        lambda n, s, g: _ring(s).sample(n, 2, g),
        lambda x, s: _ring(s).log_prob(x),
        lambda s: _ring(s).entropy().value,
    ),
    "moons": PlanarFamily(0.2, _moons),
    "pinwheel": PlanarFamily(0.1, _pinwheel),
    "spirals": PlanarFamily(0.1, _spirals),
    "swiss_roll": PlanarFamily(0.2, _swiss_roll),
}
"""All shapes by name."""
