"""A target restricted to declared capabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.target import Target

__all__ = ["Restricted"]


class Restricted(Target):
    """Another target of which only some capabilities can be used.

    Args:
        of: The target.
        needs: The capabilities that can be used.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> q = Restricted(GaussianTarget([0.0], [[1.0]]), Capability.SCORE)
        >>> q.potential(torch.zeros(1, 1))
        Traceback (most recent call last):
        ...
        wopt.errors.CapabilityError: target Restricted does not provide POTENTIAL; it provides SCORE
    """

    def __init__(self, of: Target, needs: Capability) -> None:
        self.of = of
        self.provides = of.provides & needs
        self.dim = of.dim
        self.convexity = of.convexity
        self.smoothness = of.smoothness

    def potential(self, x: Tensor) -> Tensor:
        """Return the target's potential, shape ``(n,)``, if that is allowed."""
        return self._of(Capability.POTENTIAL).potential(x)

    def score(self, x: Tensor) -> Tensor:
        """Return the target's score, shape ``(n, d)``, if that or the potential is allowed."""
        if Capability.POTENTIAL in self.provides:
            return self.of.score(x)
        return self._of(Capability.SCORE).score(x)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples of the target, shape ``(n, d)``, if these are allowed."""
        return self._of(Capability.TARGET_SAMPLES).sample(n, dim, rng)

    def _of(self, need: Capability) -> Target:
        if need not in self.provides:
            raise self._lacks(need)
        return self.of
