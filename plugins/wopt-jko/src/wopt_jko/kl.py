"""The Kullback-Leibler divergence to a target known by its potential."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt.component import fields


@fields
class KL(wopt.Objective):
    """The divergence KL(rho | q) to q = exp(-V)/Z.

        G(rho) = E[V(y) - log |det DT(x)|] + E[log rho_0(x)] + log Z,    y = T(x).

    The last two terms are constants that no map changes. E[log rho_0] is included where the
    start's density is known, and log Z = 0 where the target is normalised; with both the energy
    is the divergence itself. From data the energy is minus the mean log-likelihood.

    G is lambda-convex along generalised geodesics if V is lambda-convex.

    Source: Ambrosio, Gigli, Savare, *Gradient Flows*, 2008, Prop. 9.3.9.

    Example:
        >>> import torch, wopt
        >>> x = torch.zeros(5, 2, dtype=torch.float64)
        >>> energy = KL().energy(wopt.Particles.start(x))
        >>> round(float(energy), 6)  # log(2 pi)
        1.837877
    """

    cites = ("ambrosio2008",)
    needs = Capability.POTENTIAL | Capability.LOG_DET
    gap_is_kl = True

    target: Annotated[
        wopt.Target,
        Field(
            description="the measure to approach, known by its potential (minus its "
            "log-density, up to a constant)"
        ),
    ] = wopt.named("gaussian")

    def __post_init__(self) -> None:
        self.convexity = self.target.convexity

    def contributions(self, particles: Particles) -> Tensor:
        """Return V(y) - log |det DT| + log rho_0 of each particle, shape ``(n,)``, in nats."""
        return sum(self._terms(particles).values(), start=particles.points.new_zeros(()))

    def terms(self, particles: Particles) -> dict[str, Tensor]:
        """Return means of V, -log-det and, if known, log rho_0: scalars, shape ``()``, in nats."""
        return {name: particles.mean(value) for name, value in self._terms(particles).items()}

    def split(self) -> tuple[wopt.Objective, wopt.Objective]:
        """Return the potential energy E V, and minus the entropy."""
        assert self.target is not None
        return PotentialPart(self.target), EntropyPart()

    def largest_explicit_step(self) -> float | None:
        """Return 1/L for an L-smooth V: beyond it even affine explicit steps diverge.

        At the minimiser the stiffest mode of affine maps decays at rate 2 L, and explicit Euler is
        stable below two over that; richer maps have stiffer modes. Source: docs/theory 3.1.
        """
        assert self.target is not None
        return None if self.target.smoothness is None else 1 / self.target.smoothness

    def _terms(self, particles: Particles) -> dict[str, Tensor]:
        assert self.target is not None
        if particles.log_det is None:
            raise wopt.CapabilityError(_NO_LOG_DET)
        terms = {
            "potential": self.target.potential(particles.points),
            "log_det": -particles.log_det,
        }
        if particles.log_density_start is not None:
            terms["start"] = particles.log_density_start
        return terms


class PotentialPart(wopt.Objective):
    """The part E V of the divergence, for schemes that treat it explicitly."""

    needs = Capability.POTENTIAL

    def __init__(self, target: wopt.Target) -> None:
        self.target = target
        self.convexity = target.convexity

    def contributions(self, particles: Particles) -> Tensor:
        """Return V at each particle, shape ``(n,)``."""
        assert self.target is not None
        return self.target.potential(particles.points)


class EntropyPart(wopt.Objective):
    """Minus the entropy, E log rho, up to the start's entropy: the implicit part."""

    needs = Capability.LOG_DET
    convexity = 0.0

    def contributions(self, particles: Particles) -> Tensor:
        """Return -log |det DT| of each particle, shape ``(n,)``, in nats."""
        if particles.log_det is None:
            raise wopt.CapabilityError(_NO_LOG_DET)
        return -particles.log_det


_NO_LOG_DET = (
    "kl needs log_det, and these particles have none: a block on their way does not provide LOG_DET"
)
