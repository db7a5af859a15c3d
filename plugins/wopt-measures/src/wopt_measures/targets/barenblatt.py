"""The target ``barenblatt``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from wopt_measures.laws.barenblatt import BarenblattLaw

__all__ = ["BarenblattTarget"]


class BarenblattTarget(BarenblattLaw):
    """Barenblatt's law  (C - c |x|^2)_+^(1/(m-1)) on a ball, of mass one.

    The gradient flow of int rho^m/(m-1), the porous medium equation, only dilates it. As a start it
    is given to the source ``density``; the potential is infinite off the ball.

    Source: Barenblatt, 1952; Vazquez, *The Porous Medium Equation*, 2007; docs/theory 5.3.

    Raises:
        DataError: Points have another dimension.

    Example:
        >>> import torch
        >>> target = BarenblattTarget(m=2.0, dim=1, radius=1.0)
        >>> [round(v, 4) for v in target.potential(torch.tensor([[0.0]]).double()).tolist()]
        [0.2877]
    """

    cites = ("vazquez2007",)
    # Checks of laws use points of order one, where the density must be positive.
    example: ClassVar[dict[str, Any]] = {"radius": 20.0}

    def __init__(
        self,
        m: Annotated[float, Field(gt=1, description="the power m of the porous medium")] = 2.0,
        dim: Annotated[int, Field(ge=1, description="the dimension")] = 2,
        radius: Annotated[float, Field(gt=0, description="radius of the ball")] = 1.0,
    ) -> None:
        super().__init__(m, dim, radius)
