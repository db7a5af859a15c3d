"""First-order schemes for wopt, and step-size rules that look back.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_schemes.accelerated import Accelerated
    from wopt_schemes.arc_length import ArcLength
    from wopt_schemes.backtracking import Backtracking
    from wopt_schemes.bdf2 import BDF2
    from wopt_schemes.crank_nicolson import CrankNicolson
    from wopt_schemes.explicit import Explicit
    from wopt_schemes.forward_backward import ForwardBackward
    from wopt_schemes.kl_proximal import KLProximal
    from wopt_schemes.local_flow_matching import LocalFlowMatching
    from wopt_schemes.midpoint import Midpoint
    from wopt_schemes.replace import Replace
    from wopt_schemes.sdirk2 import SDIRK2
    from wopt_schemes.semi_forward_backward import SemiForwardBackward
    from wopt_schemes.sliced_jko import SlicedJKO
    from wopt_schemes.two_evaluations import ExplicitMidpoint, Extragradient

__all__ = [
    "BDF2",
    "SDIRK2",
    "Accelerated",
    "ArcLength",
    "Backtracking",
    "CrankNicolson",
    "Explicit",
    "ExplicitMidpoint",
    "Extragradient",
    "ForwardBackward",
    "KLProximal",
    "LocalFlowMatching",
    "Midpoint",
    "Replace",
    "SemiForwardBackward",
    "SlicedJKO",
]

__getattr__, __dir__ = exports(__name__, __file__)
