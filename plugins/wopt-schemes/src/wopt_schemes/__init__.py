"""First-order schemes for wopt, and step-size rules that look back.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_schemes.accelerated import Accelerated as Accelerated
    from wopt_schemes.arc_length import ArcLength as ArcLength
    from wopt_schemes.backtracking import Backtracking as Backtracking
    from wopt_schemes.bdf2 import BDF2 as BDF2
    from wopt_schemes.crank_nicolson import CrankNicolson as CrankNicolson
    from wopt_schemes.explicit import Explicit as Explicit
    from wopt_schemes.forward_backward import ForwardBackward as ForwardBackward
    from wopt_schemes.kl_proximal import KLProximal as KLProximal
    from wopt_schemes.local_flow_matching import LocalFlowMatching as LocalFlowMatching
    from wopt_schemes.midpoint import Midpoint as Midpoint
    from wopt_schemes.replace import Replace as Replace
    from wopt_schemes.sdirk2 import SDIRK2 as SDIRK2
    from wopt_schemes.semi_forward_backward import SemiForwardBackward as SemiForwardBackward
    from wopt_schemes.sliced_jko import SlicedJKO as SlicedJKO
    from wopt_schemes.two_evaluations import ExplicitMidpoint as ExplicitMidpoint
    from wopt_schemes.two_evaluations import Extragradient as Extragradient

__getattr__, __dir__ = exports(__name__, __file__)
