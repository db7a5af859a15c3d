"""Targets: measures to approach, known by potential, score or samples."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import Component
from wopt.errors import CapabilityError
from wopt.interfaces import returns
from wopt.interfaces.support import Support

__all__ = ["Target"]


class Target(Component, abc.ABC):
    """A probability measure q = exp(-V)/Z, or one known by samples.

    A subclass sets :attr:`provides` and overrides the methods that it announces there.
    With ``Capability.NORMALISED`` the potential is minus the log-density, so Z = 1.
    """

    kind: ClassVar[str] = "target"
    returns = returns.TARGET
    provides: Capability = Capability.NOTHING
    dim: int | None = None
    """The dimension; ``None`` if any will do."""
    convexity: float | None = None
    """lambda such that V - lambda |x|^2/2 is convex, where it is known."""
    smoothness: float | None = None
    """L such that L |x|^2/2 - V is convex, where it is known."""
    support: Support | None = None
    """The bijection from the coordinates of :meth:`potential`, all of R^d, to the author's
    coordinates, in which models draw samples; ``None`` if they are the same."""
    names: tuple[str, ...] = ()
    """The author's names of the coordinates, or empty."""
    log_z: float | None = None
    """log of the integral of exp(-V), if it is known; 0 with NORMALISED."""

    def potential(self, x: Tensor) -> Tensor:
        """Return V at ``x``: shape ``(n, d)`` to ``(n,)``."""
        raise self._lacks(Capability.POTENTIAL)

    def score(self, x: Tensor) -> Tensor:
        """Return -grad V at ``x``: shape ``(n, d)`` to ``(n, d)``."""
        if Capability.POTENTIAL not in self.provides:
            raise self._lacks(Capability.SCORE)
        differentiable = x.requires_grad and torch.is_grad_enabled()
        with torch.enable_grad():
            points = x if differentiable else x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(
                self.potential(points).sum(), points, create_graph=differentiable
            )
        return -gradient

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64, on the generator's device."""
        raise self._lacks(Capability.TARGET_SAMPLES)

    def components(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the weights of known modes, ``(k,)``, and memberships of points, ``(n, k)``.

        For a mixture these are the components' weights and posterior probabilities at x. Return
        ``None`` if no modes are known.
        """
        return None

    def figures(self, draws: Tensor, weights: Tensor) -> dict[str, float]:
        """Return quantities of a model's draws that are specific to this target, by name.

        Examples are accuracy and likelihood of a regression, or errors against reference draws.

        Args:
            draws: Draws in the author's coordinates, shape ``(n, d)``, float64.
            weights: Importance weights of the draws, shape ``(n,)``, summing to one.
        """
        return {}

    def _lacks(self, need: Capability) -> CapabilityError:
        return CapabilityError(
            f"target {type(self).__name__} does not provide {need.describe()}; "
            f"it provides {self.provides.describe()}"
        )
