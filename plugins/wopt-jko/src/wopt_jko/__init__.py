"""The reference plugin of wopt: objective ``kl``, scheme ``jko``, block ``ode``, step sizes.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_jko.jko import JKO as JKO
    from wopt_jko.kl import KL as KL
    from wopt_jko.ode.block import ODEBlock as ODEBlock
    from wopt_jko.step_sizes import Constant as Constant
    from wopt_jko.step_sizes import Geometric as Geometric
    from wopt_jko.step_sizes import Sequence as Sequence

__getattr__, __dir__ = exports(__name__, __file__)
