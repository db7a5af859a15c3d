"""The block ``naf``: zuko's neural autoregressive flow, with an independent audit."""

from __future__ import annotations

import copy
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt_zuko import options as opt
from wopt_zuko.audit import slopes
from wopt_zuko.block import ZukoBlock
from wopt_zuko.neural import Neural


class NAFBlock(ZukoBlock):
    """Neural autoregressive maps: every coordinate goes through a monotone net given those before.

        y_i = exp(a_i) x_i + b_i + f_i(x_i; s_i),    (a, b, s)_i functions of x_1, ..., x_{i-1},

    with f_i zuko's monotone network (positive weights), here beside a line, so that a new block is
    the identity and every block is onto R^d. The log-det is that of autograd. It is too large where
    a saturated network is flat to rounding: likelihoods are then above the truth, without bound.
    So ``audit`` computes the map in float64 and its slopes by differences, and the guard rejects a
    step where the two do not agree. Forward costs one pass, the inverse one per coordinate, each
    with several evaluations of the networks.

    Source: Huang, Krueger, Lacoste, Courville, *Neural Autoregressive Flows*, 2018, with zuko's
    networks; reported to exceed the likelihood of the truth in probabilists/zuko, issue 55.

    Args:
        passes: Number of passes of the inverse, which is that of groups of coordinates.

    Example:
        >>> block = NAFBlock(3, hidden=[16], monotone=[8])
        >>> x = torch.randn(5, 3)
        >>> bool(torch.allclose(block(x)[0], x, atol=1e-6))
        True
    """

    cites = ("huang2018", "rozet2022")

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        transforms: opt.Transforms = 2,
        signal: Annotated[
            int, Field(ge=1, description="number of values by which others control a monotone net")
        ] = 8,
        monotone: Annotated[
            tuple[Annotated[int, Field(ge=2)], ...],
            Field(min_length=1, description="widths of the hidden layers of the monotone nets"),
        ] = (16, 16),
        hidden: opt.Hidden = (64, 64),
        activation: opt.ActivationOption = "silu",
        passes: opt.Passes = None,
    ) -> None:
        super().__init__()
        self.compose(
            "MaskedAutoregressiveTransform", partial(Neural, dim, signal, monotone),
            dim, condition, transforms, hidden, activation, passes,
        )  # fmt: skip

    @torch.no_grad()
    def audit(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)``, by differences in float64."""
        exact = copy.deepcopy(self.transform).double()
        z, c = x.double(), None if c is None else c.double()
        log_det = torch.zeros_like(z[:, 0])
        for lazy in exact.transforms:
            made = lazy(c)
            # The map of each coordinate given those before; one alone depends on nothing.
            form = made.meta(z) if hasattr(made, "meta") else made
            log_det = log_det + slopes(form, z).log().sum(1)
            z = form(z)
        return z.to(x), log_det.to(x)
