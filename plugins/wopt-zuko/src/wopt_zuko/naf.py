"""The block ``naf``: zuko's neural autoregressive flow, with an audit that does not trust it."""

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

__all__ = ["NAFBlock"]


class NAFBlock(ZukoBlock):
    """Neural autoregressive maps: every coordinate goes through a monotone net given those before.

        y_i = exp(a_i) x_i + b_i + f_i(x_i; s_i),    (a, b, s)_i functions of x_1, ..., x_{i-1},

    with f_i zuko's monotone network (positive weights), here beside a line, which makes a new block
    the identity and every block onto R^d. The log-det is that of autograd, and claims more than
    the map does where a saturated network is flat to rounding: likelihoods above the truth, to
    infinity. So ``audit`` computes the map in float64 and its slopes by differences, and the guard
    rejects a step where the two do not agree. Forward costs one pass, the inverse one per
    coordinate with ten or so evaluations of the networks each.

    Source: Huang, Krueger, Lacoste, Courville, *Neural Autoregressive Flows*, 2018, with zuko's
    networks; reported to exceed the likelihood of the truth in probabilists/zuko, issue 55.

    Args:
        dim: Dimension d, supplied by wopt.
        condition: How many of the last coordinates are conditions, supplied by wopt.
        transforms: Maps in a row, their orders alternating.
        signal: Numbers by which the coordinates before steer a network.
        monotone: Widths of the hidden layers of the monotone networks.
        hidden: Widths of the hidden layers of the masked nets.
        activation: Their activation.
        passes: Groups of coordinates that depend on the groups before, and passes of the inverse.

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
            int, Field(ge=1, description="numbers by which other coordinates steer a monotone net")
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
            "MaskedAutoregressiveTransform", partial(Neural, dim - condition, signal, monotone),
            dim, condition, transforms, hidden, activation, passes,
        )  # fmt: skip

    @torch.no_grad()
    def audit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map and its log-det in float64, slopes by differences of the map itself."""
        exact = copy.deepcopy(self.transform).double()
        z, c = x[:, : self.moved].double(), x[:, self.moved :].double()
        log_det = torch.zeros_like(z[:, 0])
        for lazy in exact.transforms:
            made = lazy(c if c.shape[1] else None)
            # Of each coordinate given those before; a single one without conditions has none.
            form = made.meta(z) if hasattr(made, "meta") else made
            log_det = log_det + slopes(form, z).log().sum(1)
            z = form(z)
        return torch.cat([z, c], 1).to(x), log_det.to(x)
