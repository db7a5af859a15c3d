"""Adaptive integration of a flow with its log-det and action, by torchdiffeq."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

from wopt import ConfigError
from wopt_jko.ode.velocity import Field

_MOST = 1000
"""Largest number of steps of a solve."""

_GIVES_UP = ("underflow in dt", "non-finite values", "max_num_steps")
"""Parts of torchdiffeq's messages when it cannot go on."""


def check_installed() -> None:
    """Raise unless torchdiffeq is installed."""
    if importlib.util.find_spec("torchdiffeq") is None:
        raise ConfigError(
            'ODEBlock: integrator = "dopri5" needs torchdiffeq, which is not installed: '
            'pip install "wopt-jko[adaptive]", or choose integrator = "rk4"'
        )


def integrate_adaptively(
    field: Field,
    x: Tensor,
    rtol: float,
    atol: float,
    first_step: float,
    reverse: bool = False,
    action: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Integrate as :func:`~wopt_jko.ode.integrate.integrate` does, with adaptive steps.

    The method is Dormand and Prince's. The steps are chosen by the error of the positions alone,
    as a root mean square over all rows, so the map is the same whether the log-det is wanted or
    not. The last step ends at the end time: nothing is interpolated. The solution is
    differentiated as it was computed, step sizes being constants.

    Where the solver cannot go on (the flow explodes, or needs more than 1000 steps), all is NaN,
    which training treats like an overflow on a fixed grid.

    Args:
        x: Positions at the start time, shape ``(n, d)``.
        first_step: Size of the step that is tried first.
        reverse: Whether to integrate from time 1 to 0.
        action: Whether to compute the action; it is zero otherwise.

    Returns:
        Positions, log-det and action at the end, shapes ``(n, d)``, ``(n,)``, ``(n,)``.
    """
    import torchdiffeq

    zero = x.new_zeros(len(x))

    def rates(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the time derivatives of the state, in its shapes."""
        v, divergence = field(t, state[0])
        derivatives = [v, zero if divergence is None else divergence]
        return tuple([*derivatives, v.square().sum(1)] if action else derivatives)

    times = x.new_tensor([1.0, 0.0] if reverse else [0.0, 1.0])
    options: dict[str, Any] = {
        "norm": _of_positions,
        "first_step": first_step,
        "step_t": times[1:],
        "max_num_steps": _MOST,
    }
    initial = (x, zero, zero) if action else (x, zero)
    try:
        ends = [
            path[-1]
            for path in torchdiffeq.odeint(
                rates, initial, times, rtol=rtol, atol=atol, method="dopri5", options=options
            )
        ]
    except AssertionError as error:
        if not str(error).startswith(_GIVES_UP):
            raise
        ends = [part * torch.nan for part in initial]
    # The action is not integrated unless it is asked for.
    return ends[0], ends[1], ends[2] if action else zero


def _of_positions(state: tuple[Tensor, ...]) -> Tensor:
    return state[0].square().mean().sqrt()
