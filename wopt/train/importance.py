"""How even the importance weights of particles are: how near a sampler is to its target."""

from __future__ import annotations

import torch

from wopt.capabilities import Capability
from wopt.interfaces.target import Target
from wopt.particles import Particles

__all__ = ["effective_share"]


@torch.no_grad()
def effective_share(target: Target | None, particles: Particles) -> float | None:
    """Return (sum w)^2 / (n sum w^2) of the weights  w = exp(-V) / rho  at draws of rho.

    One if rho is the target, near 0 far from it; an estimate, which cannot see what the particles
    miss. ``None`` where V or rho is not known, or the particles are no draws but nodes.

    Args:
        target: With the potential V, up to a constant.
        particles: n draws of rho with their log-density.

    Example:
        >>> import wopt
        >>> x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> law = wopt.build("target", "gaussian")
        >>> particles = Particles.start(x, log_density=-law.potential(x))
        >>> round(effective_share(law, particles), 6)
        1.0
    """
    known = particles.log_density_start is not None and particles.log_det is not None
    if target is None or Capability.POTENTIAL not in target.provides or not known:
        return None
    if particles.weights is not None or particles.condition:
        return None
    w = (-target.potential(particles.points) - particles.log_density).double()
    good = w.isfinite() & particles.points.isfinite().all(1)
    w = torch.where(good, w, -torch.inf)
    if not bool(good.any()):
        return 0.0
    return float((2 * w.logsumexp(0) - (2 * w).logsumexp(0)).exp()) / len(w)
