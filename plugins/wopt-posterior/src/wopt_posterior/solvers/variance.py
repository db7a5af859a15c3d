"""The variance of log importance weights, as the loss of a sampler's step."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.errors import CapabilityError
from wopt.interfaces import FlowBlock, Subproblem
from wopt_posterior.chains import Forward

_FREE = 1e6
"""Step size from which the transport cost is negligible."""
_FAR = 5.0
"""Nats from the centre beyond which deviations count linearly."""


@dataclasses.dataclass
class LogVariance:
    """Var[log q(y) + V(y)] over fixed points y, for a map whose image q is to be exp(-V)/Z.

    The points are chains of the target and the particles' images under the maps with which the
    rounds so far began, so that the next round corrects a fit that is bad off its points. The
    variance is zero only where q is the target at all points; then the gradient is zero at each
    point, so that a target in the family is found to rounding, without the noise of draws. Neither
    the target nor the map is differentiated by the points, which makes KL hard to minimise where a
    map has steep pieces between modes.

    It replaces the proximal subproblem, so h has to be so large that transport costs nothing.

    Attributes:
        forward: The chains, the target, and the density of the particles.
        particles: Particles before the map, shape ``(n, d)``.

    Source: Richter, Boustati, Nuesken, Ruiz, Akyildiz, *VarGrad: a low-variance gradient estimator
    for variational inference*, 2020.
    """

    forward: Forward
    block: FlowBlock
    particles: Tensor
    points: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))
    potential: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))

    @classmethod
    def of(cls, forward: Forward | None, block: FlowBlock, sub: Subproblem) -> LogVariance:
        """Return the loss of a step."""
        if forward is None:
            raise CapabilityError(
                'the solver "variance" is for samplers with chains of their target beside '
                "them: give solver.chains, or choose adam, muon or lbfgs"
            )
        if sub.step_size < _FREE:
            raise CapabilityError(
                'the solver "variance" pays nothing for transport, and the step size is '
                f"{sub.step_size:g}: give step_size = 1e12, or choose adam, muon or lbfgs"
            )
        return cls(forward, block, sub.particles.points)

    @torch.no_grad()
    def renew(self) -> None:
        """Add the images of the particles under the current map, and the chains, to the points.

        Points at which the map's density, or the target's, is not finite are left out here, and
        only here.
        """
        images = self.block(self.particles)[0]
        points = torch.cat([images, self.forward.points])
        potential = self.forward.target.potential(points)
        good = points.isfinite().all(1) & potential.isfinite()
        points, potential = points[good], potential[good]
        if len(self.points):
            points = torch.cat([self.points, points])
            potential = torch.cat([self.potential, potential])
        good = self._gap(self.block, points, potential).isfinite()
        self.points, self.potential = points[good], potential[good]

    def __call__(self, block: FlowBlock, rows: Tensor | None = None) -> Tensor:
        """Return the variance of a map at all points, shape ``()``; infinite if a density there is.

        No point is dropped here: a map could seem better by losing those that it is worst at.
        """
        gap = self._gap(block, self.points, self.potential)
        middle = gap.detach().median()
        centre = middle + (gap - middle).clamp(-_FAR, _FAR).mean()
        # Twice Huber's function is the variance near the centre, and linear far from it, where a
        # square would let a few points dominate.
        return 2 * torch.nn.functional.huber_loss(gap, centre.expand_as(gap), delta=_FAR)

    def _gap(self, block: FlowBlock, points: Tensor, potential: Tensor) -> Tensor:
        back, log_det = block.differentiable_inverse(points)
        return self.forward.start(back) + log_det + potential
