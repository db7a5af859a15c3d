"""The block ``ode``: the flow of a velocity net for unit time."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Need
from wopt_jko.ode.activation import Activation
from wopt_jko.ode.integrate import DORMAND_PRINCE, RK4, integrate, uniform_grid
from wopt_jko.ode.velocity import TwoLayerVelocity

__all__ = ["ODEBlock"]

_FINEST = 512
"""No grid has more steps than this."""

_FEW = 12
"""Dimensions up to which the whole Jacobian is affordable, which ``half_way`` needs."""


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

    provides = Need.LOG_DET | Need.INVERSE | Need.ACTION | Need.VELOCITY | Need.FIELD
    steps: Tensor

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
        self.net = TwoLayerVelocity(dim, width, activation, sharpness, time)
        self.jitter = jitter
        if dim <= _FEW:
            self.provides = type(self).provides | Need.HALF_WAY
        # A buffer, so that a grid refined by the guard is saved and loaded with the parameters.
        self.register_buffer("steps", torch.tensor(steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T(x), log-det)``."""
        y, log_det, _ = integrate(self.net.field(True), x, self._grid(), RK4)
        return y, log_det

    def move(self, x: Tensor) -> Tensor:
        """Return T(x) without the divergence."""
        return integrate(self.net.field(False), x, self._grid(), RK4)[0]

    def forward_with_action(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``(T(x), log-det, int |v|^2 dt)``."""
        return integrate(self.net.field(True), x, self._grid(), RK4, action=True)

    def half_way(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``((x + T(x))/2, log |det (I + DT)/2|)``, by the whole Jacobian."""
        # The grid is drawn here, since nothing may be drawn inside vmap.
        field, grid = self.net.field(False), self._grid()

        def one(point: Tensor) -> tuple[Tensor, Tensor]:
            y = integrate(field, point[None], grid, RK4)[0][0]
            return y, y

        jacobian, y = torch.func.vmap(torch.func.jacrev(one, has_aux=True))(x)
        half = (jacobian + torch.eye(x.shape[1]).to(x)) / 2
        return (x + y) / 2, torch.linalg.slogdet(half)[1]

    def velocity(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(u, div u)`` for the mean u over time of v, by Simpson's rule.

        To first order in u, T is id + u, and the flow of u for unit time.
        """
        field = self.net.field(True)
        u, divergence = torch.zeros_like(x), x.new_zeros(len(x))
        for t, weight in ((0.0, 1 / 6), (0.5, 4 / 6), (1.0, 1 / 6)):
            v, rate = field(t, x)
            assert rate is not None  # it was asked for
            u, divergence = u + weight * v, divergence + weight * rate
        return u, divergence

    def field(self, t: Tensor, x: Tensor) -> Tensor:
        """Return v(t, x), times of shape ``(n,)``."""
        return self.net.field(False)(t[:, None], x)[0]

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(T^-1(y), its log-det)``, by the same method backwards in time."""
        grid = uniform_grid(int(self.steps), reverse=True)
        x, log_det, _ = integrate(self.net.field(True), y, grid, RK4)
        return x, log_det

    @torch.no_grad()
    def audit(self, x: Tensor, tolerance: float = 1e-3) -> tuple[Tensor, Tensor]:
        """Return ``(T(x), log-det)`` by another method, on grids refined until they agree.

        Args:
            x: Shape ``(n, d)``.
            tolerance: Mean change of the log-det (nats) under which a grid counts as fine.
        """
        field = self.net.field(True)
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

    def warm_start(self, previous: wopt.FlowBlock) -> None:
        """Begin from the previous step's velocity, on this block's own grid.

        A grid that the guard made finer for the previous block would double the cost of training
        this one too, often in vain: the guard checks every block anyway.
        """
        steps = int(self.steps)
        super().warm_start(previous)
        self.steps.fill_(steps)

    def _grid(self) -> list[float]:
        grid = uniform_grid(int(self.steps))
        if self.training and self.jitter > 0:
            shifts = (torch.rand(len(grid) - 2) - 0.5) * self.jitter / int(self.steps)
            grid[1:-1] = [t + s for t, s in zip(grid[1:-1], shifts.tolist(), strict=True)]
        return grid
