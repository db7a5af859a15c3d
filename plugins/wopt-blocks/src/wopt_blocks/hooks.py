"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)

_BLOCKS = (
    ("affine", "affine:Affine", "A x + b, closed form; symmetric: the Brenier map of Gaussians"),
    (
        "autoregressive",
        "autoregressive:Autoregressive",
        "neural splines or affine maps, each coordinate given earlier ones; fast both ways",
    ),
    ("icnn", "icnn:GradientOfConvex", "gradient of a convex net, the Brenier map of a step"),
    ("fitted_mixture", "fitted_mixture:FittedMixture", "a mixture of Gaussians to N(0, I), by EM"),
    ("mixture", "mixture:Mixture", "Gaussians far apart, in closed form: for targets with modes"),
    ("particles", "particles:FreeParticles", "a free displacement a particle, no log-det"),
    ("stack", "stack:Stack", "a mixture of flows as one map, weights by held-out particles"),
    ("residual", "residual:Residual", "x + f(x), f contractive or free, exact log-det"),
)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the components."""
    for name, path, summary in _BLOCKS:
        registry.add("block", name, f"wopt_blocks.{path}", summary=summary)
