"""zuko's transforms as blocks of wopt: ``coupling``, ``maf``, ``naf``, ``spline`` and ``zuko``.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_zuko.block import ZukoBlock
    from wopt_zuko.exchange import from_zuko, to_zuko
    from wopt_zuko.generic import ZukoTransformBlock
    from wopt_zuko.naf import NAFBlock
    from wopt_zuko.named import CouplingBlock, MAFBlock, SplineBlock

__all__ = [
    "CouplingBlock",
    "MAFBlock",
    "NAFBlock",
    "SplineBlock",
    "ZukoBlock",
    "ZukoTransformBlock",
    "from_zuko",
    "to_zuko",
]

__getattr__, __dir__ = exports(__name__, __file__)
