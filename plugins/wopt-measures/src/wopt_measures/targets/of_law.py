"""Base of targets with a law in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt import Capability, Target
from wopt_measures.laws.barenblatt import BarenblattLaw
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.laws.mixture import MixtureLaw

__all__ = ["LawTarget"]


class LawTarget(Target):
    """A target given by its ``law``: V = -log density, constant included, and samples."""

    provides = (
        Capability.POTENTIAL | Capability.SCORE | Capability.TARGET_SAMPLES | Capability.NORMALISED
    )
    law: GaussianLaw | MixtureLaw | BarenblattLaw

    def potential(self, x: Tensor) -> Tensor:
        """Return V = -log density in nats: shape ``(n, d)`` to ``(n,)``."""
        return -self.law.log_prob(x)

    def score(self, x: Tensor) -> Tensor:
        """Return grad log density: shape ``(n, d)`` to ``(n, d)``."""
        return self.law.score(x)

    def sample(self, n: int, dim: int, generator: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        return self.law.sample(n, dim, generator)
