"""Blocks that integrate a field for unit time, on grids or by tolerances that can be refined."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import wopt
from wopt_jko.ode import adaptive, options
from wopt_jko.ode.integrate import EULER, MIDPOINT, RK4, integrate, uniform_grid
from wopt_jko.ode.velocity import Field

_TIGHTEST = 1e-13
"""Smallest tolerance of an adaptive solve; the dtype's rounding limits it too."""

_ON_GRIDS = {"euler": EULER, "midpoint": MIDPOINT, "rk4": RK4}


_MOST_STEPS = 2**16
"""Most steps of a grid that is read from a file; refinement stops long before."""

_MOST_DIGITS = 32
"""Most refinements of tolerances that are read from a file."""


class IntegratedBlock(wopt.FlowBlock):
    """A block that integrates a field for unit time, more finely once it is refined.

    Args:
        integrator: ``euler``, ``midpoint``, ``rk4``, or ``dopri5`` (needs torchdiffeq).
        steps: Steps of the grid; for ``dopri5`` the first step tried is one of them.
        jitter: Random shift of inner grid points in training, as a fraction of their distance.
        rtol: Relative tolerance of ``dopri5``.
        atol: Absolute tolerance of ``dopri5``.
    """

    steps: Tensor
    tightened: Tensor

    def __init__(
        self, integrator: str, steps: int, jitter: float, rtol: float, atol: float
    ) -> None:
        super().__init__()
        self.jitter = jitter
        self.tableau = _ON_GRIDS.get(integrator)
        self.rtol, self.atol = rtol, atol
        # Buffers, so that what the guard refined is saved and loaded with the parameters.
        self.register_buffer("steps", torch.tensor(steps))
        if self.tableau is None:
            adaptive.check_installed()
            self.register_buffer("tightened", torch.tensor(0))
        self._read_buffers()

    def integrated(
        self, field: Field, z: Tensor, reverse: bool = False, action: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return positions ``(n, d)``, log-det and action, ``(n,)``, at the other end of time."""
        if self.tableau is not None:
            grid = uniform_grid(self._count, reverse=True) if reverse else self.grid()
            return integrate(field, z, grid, self.tableau, action)
        return adaptive.integrate_adaptively(
            field,
            z,
            rtol=self._tightened(self.rtol, z.dtype),
            atol=self._tightened(self.atol, z.dtype),
            first_step=1 / self._count,
            reverse=reverse,
            action=action,
        )

    def refine(self) -> bool:
        """Double the number of steps, or ask ``dopri5`` for two digits more.

        Returns:
            False, changing nothing, if that would exceed the limit.
        """
        if self.tableau is None:
            dtype = next(self.parameters()).dtype
            if self._tightened(max(self.rtol, self.atol), dtype) < 1.01 * self._tightened(0, dtype):
                return False
            self.tightened.add_(1)
        elif 2 * self._count > options.FINEST:
            return False
        else:
            self.steps.mul_(2)
        self._read_buffers()
        return True

    def warm_start(self, previous: wopt.FlowBlock) -> None:
        """Begin from the previous step's parameters, on this block's own grid.

        A grid that the guard refined for the previous block would double the cost of training this
        one too, often in vain: the guard checks every block anyway.
        """
        own = {name: buffer.clone() for name, buffer in self.named_buffers()}
        super().warm_start(previous)
        for name, buffer in self.named_buffers():
            buffer.copy_(own[name])
        self._read_buffers()

    def _read_buffers(self) -> None:
        """Keep the buffers' values as numbers, so that no forward pass waits for a tensor."""
        self._count = int(self.steps)
        self._digits = 0 if self.tableau is not None else int(self.tightened)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._read_buffers()
        if not 1 <= self._count <= _MOST_STEPS:
            raise ValueError(f"`steps` is {self._count}, and no grid has so many")
        if not 0 <= self._digits <= _MOST_DIGITS:
            raise ValueError(f"`tightened` is {self._digits}, and no tolerance has so many digits")

    def _tightened(self, tolerance: float, dtype: torch.dtype) -> float:
        """Return a tolerance after :meth:`refine`, as far as the dtype can meet it."""
        least = max(_TIGHTEST, 20 * torch.finfo(dtype).eps)
        return max(tolerance * 100.0**-self._digits, least)

    def grid(self) -> list[float]:
        """Return the times of a forward pass, jittered in training."""
        grid = uniform_grid(self._count)
        if self.training and self.jitter > 0:
            shifts = (torch.rand(len(grid) - 2) - 0.5) * self.jitter / self._count
            grid[1:-1] = [t + s for t, s in zip(grid[1:-1], shifts.tolist(), strict=True)]
        return grid
