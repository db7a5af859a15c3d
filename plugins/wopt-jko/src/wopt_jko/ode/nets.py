"""The velocity nets by name."""

from __future__ import annotations

from typing import Literal

from wopt import ConfigError
from wopt_jko.ode.conv import ConvVelocity, Window
from wopt_jko.ode.deep import DeepVelocity
from wopt_jko.ode.gradient import GradientVelocity
from wopt_jko.ode.velocity import NetShape, Velocity

Net = Literal["two_layer", "gradient", "deep", "conv"]


def make_net(
    name: Net, shape: NetShape, depth: int | None = None, window: Window | None = None
) -> Velocity:
    """Return a new velocity net.

    Args:
        depth: Number of hidden layers; ``None`` for the net's own default.
        window: The part of its image that a pixel sees, for ``conv`` alone.
    """
    if window is not None and name != "conv":
        raise ConfigError(f'ODEBlock: net {name} has no window, which is an option of net = "conv"')
    if name == "gradient":
        return GradientVelocity(shape, depth or 1)
    if name == "deep":
        return DeepVelocity(shape, depth or 3)
    if name == "conv":
        return ConvVelocity(shape, depth or 2, window or Window())
    if depth not in (None, 2):
        raise ConfigError(
            f"ODEBlock: depth = {depth}: net two_layer has two hidden layers, which is what makes "
            'its divergence a closed form; choose net = "deep" or net = "gradient"'
        )
    return DeepVelocity(shape, 2)
