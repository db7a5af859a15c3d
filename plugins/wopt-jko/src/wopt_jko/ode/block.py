"""The block ``ode``: the flow of a velocity net for unit time."""

from __future__ import annotations

from typing import Annotated

import torch
import wopt
from pydantic import Field
from torch import Tensor
from wopt import Need

from wopt_jko.ode.activation import Activation
from wopt_jko.ode.integrate import DORMAND_PRINCE, RK4, integrate, uniform_grid
from wopt_jko.ode.velocity import TwoLayerVelocity

__all__ = ["ODEBlock"]

_FINEST = 512
"""No grid has more steps than this."""


class ODEBlock(wopt.FlowBlock):
    """T(x) = x(1) for  dx/dt = v(t, x), x(0) = x,  log |det DT| = int_0^1 div v(t, x(t)) dt.

    v is a net of two hidden layers whose divergence is exact at any dimension. Training,
    evaluation and inversion use RK4 on the same number of steps; in training the inner grid
    points are jittered, so that no fixed grid can be exploited. :meth:`audit` integrates by
    Dormand and Prince's method instead, doubling the grid until the log-det stands still.

    Source: Chen, Rubanova, Bettencourt, Duvenaud, *Neural ODEs*, 2018; the closed-form
    divergence is derived in :class:`~wopt_jko.ode.velocity.TwoLayerVelocity`.

    Args:
        dim: Dimension d, supplied by wopt.
        width: Width of the two hidden layers.
        activation: ``softplus`` (sharp drawings), ``silu`` or ``tanh``.
        sharpness: Factor inside the activation: larger resolves finer detail, needs more steps.
        time: Whether the velocity depends on time.
        steps: RK4 steps.
        jitter: Random shift of inner grid points in training, as a share of their distance.

    Example:
        >>> block = ODEBlock(2, width=16)
        >>> x = torch.randn(5, 2)
        >>> y, log_det = block(x)
        >>> bool((y == x).all()), log_det.shape
        (True, torch.Size([5]))
    """

    provides = Need.LOG_DET | Need.INVERSE | Need.ACTION

    def __init__(
        self,
        dim: int,
        width: Annotated[int, Field(ge=1, description="width of the two hidden layers")] = 128,
        activation: Annotated[Activation, Field(description="of the hidden layers")] = "softplus",
        sharpness: Annotated[float, Field(gt=0, description="factor in the activation")] = 20.0,
        time: Annotated[bool, Field(description="whether v depends on time")] = True,
        steps: Annotated[int, Field(ge=1, le=_FINEST, description="RK4 steps")] = 4,
        jitter: Annotated[
            float, Field(ge=0, lt=1, description="of the training grid, as a share of its spacing")
        ] = 0.5,
    ) -> None:
        super().__init__()
        self.velocity = TwoLayerVelocity(dim, width, activation, sharpness, time)
        self.jitter = jitter
        # A buffer, so that a grid refined by the guard is saved and loaded with the parameters.
        self.register_buffer("steps", torch.tensor(steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T(x), log-det)``."""
        y, log_det, _ = integrate(self.velocity.field(True), x, self._grid(), RK4)
        return y, log_det

    def move(self, x: Tensor) -> Tensor:
        """Return T(x) without the divergence."""
        return integrate(self.velocity.field(False), x, self._grid(), RK4)[0]

    def forward_with_action(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``(T(x), log-det, int |v|^2 dt)``."""
        return integrate(self.velocity.field(True), x, self._grid(), RK4, action=True)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T^-1(y), its log-det)``, by the same method backwards in time."""
        grid = uniform_grid(int(self.steps), reverse=True)
        x, log_det, _ = integrate(self.velocity.field(True), y, grid, RK4)
        return x, log_det

    @torch.no_grad()
    def audit(self, x: Tensor, tolerance: float = 1e-3) -> tuple[Tensor, Tensor]:
        """Return ``(T(x), log-det)`` by another method, on grids refined until they agree.

        Args:
            x: Shape ``(n, d)``.
            tolerance: Mean change of the log-det (nats) under which a grid counts as fine.
        """
        field = self.velocity.field(True)
        steps = 2 * int(self.steps)
        y, log_det, _ = integrate(field, x, uniform_grid(steps), DORMAND_PRINCE)
        while steps < _FINEST:
            steps *= 2
            before = log_det
            y, log_det, _ = integrate(field, x, uniform_grid(steps), DORMAND_PRINCE)
            change = (log_det - before).abs().mean()
            if not torch.isfinite(change) or change < tolerance:
                break
        return y, log_det

    def refine(self) -> bool:
        """Double the number of steps; False if they would exceed the limit."""
        if 2 * int(self.steps) > _FINEST:
            return False
        self.steps.mul_(2)
        return True

    def _grid(self) -> list[float]:
        grid = uniform_grid(int(self.steps))
        if self.training and self.jitter > 0:
            shifts = (torch.rand(len(grid) - 2) - 0.5) * self.jitter / int(self.steps)
            grid[1:-1] = [t + s for t, s in zip(grid[1:-1], shifts.tolist(), strict=True)]
        return grid
