"""zuko's transforms as blocks of wopt: ``coupling``, ``maf``, ``naf``, ``spline`` and ``zuko``.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_zuko.block import ZukoBlock as ZukoBlock
    from wopt_zuko.exchange import from_zuko as from_zuko
    from wopt_zuko.exchange import to_zuko as to_zuko
    from wopt_zuko.generic import ZukoTransformBlock as ZukoTransformBlock
    from wopt_zuko.naf import NAFBlock as NAFBlock
    from wopt_zuko.named import CouplingBlock as CouplingBlock
    from wopt_zuko.named import MAFBlock as MAFBlock
    from wopt_zuko.named import SplineBlock as SplineBlock

__getattr__, __dir__ = exports(__name__, __file__)
