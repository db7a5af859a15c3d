"""The velocity nets by name."""

from __future__ import annotations

from typing import Literal

from wopt import ConfigError
from wopt_jko.ode import activation as act
from wopt_jko.ode.deep import DeepVelocity
from wopt_jko.ode.gradient import GradientVelocity
from wopt_jko.ode.velocity import Shape, Velocity

__all__ = ["Net", "make_net"]

Net = Literal["two_layer", "gradient", "deep"]


def make_net(
    name: Net,
    dim: int,
    width: int,
    activation: act.Activation,
    sharpness: float,
    time: bool,
    condition: int = 0,
    depth: int | None = None,
) -> Velocity:
    """Return a new velocity net.

    Args:
        name: Which.
        dim: How many coordinates move.
        width: Width of the hidden layers.
        activation: Of the hidden layers.
        sharpness: Factor inside the activation.
        time: Whether the velocity depends on t.
        condition: How many coordinates are conditions.
        depth: Hidden layers; ``None`` for the net's own default.

    Raises:
        ConfigError: The net has no such depth.
    """
    shape = Shape(dim, width, activation, sharpness, time, condition)
    if name == "gradient":
        return GradientVelocity(shape, depth or 1)
    if name == "deep":
        return DeepVelocity(shape, depth or 3)
    if depth not in (None, 2):
        raise ConfigError(
            f"ODEBlock: depth = {depth}: net two_layer has two hidden layers, which is what makes "
            'its divergence a closed form; choose net = "deep" or net = "gradient"'
        )
    return DeepVelocity(shape, 2)
