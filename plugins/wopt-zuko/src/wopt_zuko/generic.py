"""The block ``zuko``: a structure and a univariate transform of zuko, by their class names."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from wopt_zuko import options as opt
from wopt_zuko.block import ZukoBlock
from wopt_zuko.stack import Structure
from wopt_zuko.univariate import UnivariateName, make


class ZukoTransformBlock(ZukoBlock):
    """A lazy transform of zuko with one of its univariate transforms, by zuko's class names.

    ``transform`` says which coordinate depends on which (all before, the other half, none but the
    conditions), ``univariate`` what happens to each. All nine pairs start as the identity and
    have exact log-dets. Bernstein polynomials are inverted by bisection, to 1e-10 B in float64
    and to rounding in float32; the others in closed form.

    Source: Rozet et al., *Zuko: normalizing flows in PyTorch*, 2022; Arpogaus et al., *Short-term
    density forecasting of low-voltage load using Bernstein-polynomial normalizing flows*, 2022.

    Args:
        bound: Splines and polynomials act on [-bound, bound]^d.

    Example:
        >>> import torch
        >>> block = ZukoTransformBlock(3, univariate="BoundedBernsteinTransform", hidden=[16])
        >>> x = torch.randn(5, 3)
        >>> bool(torch.allclose(block(x)[0], x, atol=1e-5))
        True
    """

    cites = ("rozet2022", "arpogaus2022")

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        transform: Annotated[
            Structure, Field(description="class name of the transform in zuko.flows")
        ] = "MaskedAutoregressiveTransform",
        univariate: Annotated[
            UnivariateName,
            Field(description="class name of the univariate transform in zuko.transforms"),
        ] = "BoundedBernsteinTransform",
        transforms: opt.Transforms = 2,
        pieces: Annotated[
            int, Field(ge=2, description="number of bins of a spline, or degree of a polynomial")
        ] = 8,
        hidden: opt.Hidden = (64, 64),
        activation: opt.ActivationOption = "silu",
        bound: opt.Bound = None,
        passes: opt.Passes = None,
    ) -> None:
        super().__init__()
        self.compose(
            transform, partial(make, univariate, pieces, bound),
            dim, condition, transforms, hidden, activation, passes,
        )  # fmt: skip
