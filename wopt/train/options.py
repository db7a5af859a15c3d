"""Options of training: joint refinement, times to keep."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from wopt.component import Component, fields


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

    renamed: ClassVar[dict[str, tuple[str, dict[Any, Any]]]] = {"share": ("fraction", {})}

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
    fraction: Annotated[
        float, Field(gt=0, description="factor on the solver's iterations in these rounds")
    ] = 0.5


@fields
class Snapshots(Component):
    """Keeps held-out particles, with their densities where known, at times t = sum of h.

    Steps are shortened to end there. Particles are also kept at the end of the run if times or an
    exact solution are given.

    Example:
        >>> Snapshots(times=[0.3, 0.9]).times
        [0.3, 0.9]
    """

    times: Annotated[
        list[Annotated[float, Field(ge=0)]] | None,
        Field(description="times at which particles are kept; a step ends at each of them"),
    ] = None
    particles: Annotated[
        int, Field(ge=1, description="how many of the held-out particles are kept")
    ] = 2000
