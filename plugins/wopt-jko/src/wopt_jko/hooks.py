"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components."""
    registry.add("objective", "kl", "wopt_jko.kl:KL", summary="Kullback-Leibler divergence")
    registry.add("scheme", "jko", "wopt_jko.jko:JKO", summary="minimising movement, order 1")
    registry.add(
        "block", "ode", "wopt_jko.ode.block:ODEBlock", summary="neural ODE, exact divergence"
    )
    registry.add(
        "step_size", "constant", "wopt_jko.step_sizes:Constant", summary="h_n = h (a bare number)"
    )
    registry.add(
        "step_size", "geometric", "wopt_jko.step_sizes:Geometric", summary="h_n = h_0 ratio^n"
    )
    registry.add(
        "step_size", "sequence", "wopt_jko.step_sizes:Sequence", summary="as listed (a bare list)"
    )
