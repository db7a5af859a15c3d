"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)

_COMPONENTS = (
    ("scheme", "accelerated", "accelerated:Accelerated", "Nesterov's and FISTA's momentum"),
    ("scheme", "bdf2", "bdf2:BDF2", "two-step backward differences, order 2, L-stable"),
    ("scheme", "crank_nicolson", "crank_nicolson:CrankNicolson", "trapezoidal rule, order 2"),
    ("scheme", "explicit", "explicit:Explicit", "explicit Euler, any objective, order 1"),
    (
        "scheme",
        "explicit_midpoint",
        "two_evaluations:ExplicitMidpoint",
        "gradient half a step ahead, order 2",
    ),
    ("scheme", "extragradient", "two_evaluations:Extragradient", "gradient a step ahead, order 1"),
    (
        "scheme",
        "forward_backward",
        "forward_backward:ForwardBackward",
        "a smooth part explicit, the rest implicit, order 1",
    ),
    ("scheme", "kl_proximal", "kl_proximal:KLProximal", "a sampler by small steps in KL, one map"),
    (
        "scheme",
        "local_flow_matching",
        "local_flow_matching:LocalFlowMatching",
        "the Ornstein-Uhlenbeck step by regression",
    ),
    ("scheme", "midpoint", "midpoint:Midpoint", "implicit midpoint rule, order 2"),
    ("scheme", "replace", "replace:Replace", "one map, replaced at each step: constant depth"),
    ("scheme", "sdirk2", "sdirk2:SDIRK2", "two proximal steps, order 2, L-stable"),
    (
        "scheme",
        "semi_forward_backward",
        "semi_forward_backward:SemiForwardBackward",
        "for differences of convex functionals, order 1",
    ),
    ("scheme", "sliced_jko", "sliced_jko:SlicedJKO", "jko with sliced Wasserstein distance"),
    ("step_size", "arc_length", "arc_length:ArcLength", "blocks of equal length, from a run"),
    ("step_size", "backtracking", "backtracking:Backtracking", "smaller after a rejected step"),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components."""
    for kind, name, path, summary in _COMPONENTS:
        registry.add(kind, name, f"wopt_schemes.{path}", summary=summary)
