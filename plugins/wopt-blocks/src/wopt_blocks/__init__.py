"""Blocks: affine, autoregressive and residual maps, gradients of convex nets, mixtures, particles.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_blocks.affine import Affine as Affine
    from wopt_blocks.autoregressive import Autoregressive as Autoregressive
    from wopt_blocks.expectation import Gaussians as Gaussians
    from wopt_blocks.expectation import shrunk_mixture as shrunk_mixture
    from wopt_blocks.fitted_mixture import FittedMixture as FittedMixture
    from wopt_blocks.icnn import GradientOfConvex as GradientOfConvex
    from wopt_blocks.mixture import Mixture as Mixture
    from wopt_blocks.particles import FreeParticles as FreeParticles
    from wopt_blocks.residual import Residual as Residual

__getattr__, __dir__ = exports(__name__, __file__)
