"""Base of targets with a law in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt import Capability, Target
from wopt_measures.laws.law import Law

__all__ = ["LawTarget"]


class LawTarget(Target):
    """A target given by its ``law``: V = -log density, constant included, and samples."""

    provides = (
        Capability.POTENTIAL | Capability.SCORE | Capability.TARGET_SAMPLES | Capability.NORMALISED
    )
    law: Law

    def potential(self, x: Tensor) -> Tensor:
        """Return V = -log density in nats: shape ``(n, d)`` to ``(n,)``."""
        return -self.law.log_prob(x)

    def score(self, x: Tensor) -> Tensor:
        """Return grad log density, by autograd where no formula is known: ``(n, d)``."""
        known = getattr(self.law, "score", None)
        return super().score(x) if known is None else known(x)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        return self.law.sample(n, dim, rng)
