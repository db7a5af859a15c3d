"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)

_COMPONENTS = (
    ("coupling", "named:CouplingBlock", "affine coupling (RealNVP), one pass either way"),
    ("maf", "named:MAFBlock", "affine masked autoregressive flow, d passes to invert"),
    ("naf", "naf:NAFBlock", "neural autoregressive flow: monotone nets, audited in float64"),
    ("spline", "named:SplineBlock", "neural splines, autoregressive or coupling"),
    ("zuko", "generic:ZukoTransformBlock", "a transform of zuko by its class names"),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components and the converter."""
    registry.add_function("zuko", "wopt_zuko.exchange:to_zuko")
    for name, path, summary in _COMPONENTS:
        registry.add("block", name, f"wopt_zuko.{path}", summary=summary)
