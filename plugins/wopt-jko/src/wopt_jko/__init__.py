"""The reference plugin of wopt: objective ``kl``, scheme ``jko``, block ``ode``, step sizes."""

from wopt_jko.jko import JKO
from wopt_jko.kl import KL
from wopt_jko.ode.block import ODEBlock
from wopt_jko.step_sizes import Constant, Geometric, Sequence

__all__ = ["JKO", "KL", "Constant", "Geometric", "ODEBlock", "Sequence"]
