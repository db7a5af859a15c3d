"""The options of the block ``ode``, with their descriptions and ranges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wopt_jko.ode import activation, conv, nets

FINEST = 512
"""Largest number of steps of a grid."""

Width = Annotated[int, Field(ge=1, description="width of the hidden layers")]
Activation = Annotated[
    activation.Activation, Field(description="activation function of the hidden layers")
]
Sharpness = Annotated[
    float,
    Field(
        gt=0, description="factor by which the argument of the activation function is multiplied"
    ),
]
Time = Annotated[bool, Field(description="whether the velocity depends on time")]
Steps = Annotated[
    int,
    Field(
        ge=1,
        le=FINEST,
        description="number of time steps of the integrator; dopri5 tries one of this size first",
    ),
]
Jitter = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="size of the random shifts of inner time points in training, as a share of "
        "their spacing",
    ),
]
Net = Annotated[
    nets.Net,
    Field(
        description="network of the velocity: two_layer (divergence in closed form), gradient "
        "(that of a potential, closer to optimal maps), deep (any number of layers) or conv (a "
        "convolution over grey images, divergence in closed form)"
    ),
]
Depth = Annotated[
    int | None,
    Field(
        ge=1,
        description="number of hidden layers of gradient (by default 1), deep (by default 3) or "
        "conv (by default 2)",
    ),
]
Divergence = Annotated[
    Literal["exact", "hutchinson"],
    Field(
        description="exact, or hutchinson: a random estimate in training, exact in evaluation, "
        "for gradient with more than one or deep with more than two hidden layers, in many "
        "dimensions"
    ),
]
Integrator = Annotated[
    Literal["euler", "midpoint", "rk4", "dopri5"],
    Field(
        description="euler, midpoint or rk4 with equal time steps, or dopri5, which chooses its "
        "steps by the tolerances (needs torchdiffeq)"
    ),
]
Rtol = Annotated[float, Field(gt=0, lt=1, description="relative tolerance of dopri5")]
Atol = Annotated[float, Field(gt=0, lt=1, description="absolute tolerance of dopri5")]
Latent = Annotated[
    int | None,
    Field(
        ge=1,
        description='how many coordinates move, the first ones: after preprocess = "principal" the '
        "leading components, while the others stay normal; by default all",
    ),
]
Window = Annotated[
    conv.Window | None,
    Field(
        description="what a pixel sees, of net conv: {image = [height, width], kernel = 5, "
        "dilations = [1]}; images are squares if not given, and rows may lack some of the last "
        "pixels of an `image` that is; limit = 8 bounds what is seen of a value far from others"
    ),
]
