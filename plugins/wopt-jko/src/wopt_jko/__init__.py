"""The reference plugin of wopt: objective ``kl``, scheme ``jko``, block ``ode``, step sizes.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_jko.jko import JKO
    from wopt_jko.kl import KL
    from wopt_jko.ode.block import ODEBlock
    from wopt_jko.step_sizes import Constant, Geometric, Sequence

__all__ = [
    "JKO",
    "KL",
    "Constant",
    "Geometric",
    "ODEBlock",
    "Sequence",
]

__getattr__, __dir__ = exports(__name__, __file__)
