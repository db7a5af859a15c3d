"""The options of joint refinement: when all maps are trained together, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wopt.component import Component, fields

__all__ = ["Refinement"]


@fields
class Refinement(Component):
    """Joint training of all maps, from the result of the steps, on the sum of their costs.

        G((T_N o ... o T_1)_# rho) + sum_n E |T_n x_n - a_n|^2 / (2 h_n)

    For jko, a_n = x_n, its minimum is that of one step of size h = h_1 + ... + h_N: by Cauchy and
    Schwarz |x_N - x_0|^2 / (2 h) <= sum_n |x_n - x_{n-1}|^2 / (2 h_n), with equality on straight
    paths. So refinement turns the steps into one large step whose map has N blocks.

    With ``respace`` the steps are first made equally long (:func:`wopt.train.arc.respaced`):
    step sizes are set so that steps move the particles equally far, and each map is trained again.

    Example:
        >>> Refinement(iterations=100).when
        'end'
    """

    iterations: Annotated[int, Field(ge=0, description="iterations of joint training; 0: none")] = 0
    when: Annotated[
        Literal["end", "each"],
        Field(description="end (after the last step) or each (after each step from the second on)"),
    ] = "end"
    rate: Annotated[float, Field(gt=0, description="factor on the solver's learning rates")] = 0.5
    recompute: Annotated[
        bool,
        Field(
            description="whether blocks are computed again in the backward pass, which takes "
            "less memory and more time"
        ),
    ] = False
    respace: Annotated[
        int,
        Field(
            ge=0,
            description="rounds, before the joint iterations, in which step sizes are set to "
            "equal arc length and every step is made again, beginning from its own map",
        ),
    ] = 0
    share: Annotated[
        float, Field(gt=0, description="factor on the solver's iterations in these rounds")
    ] = 0.5
