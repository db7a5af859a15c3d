"""Where a sampler begins: Laplace's approximation, and the best affine map of a step."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from wopt.capabilities import Capability
from wopt.errors import CapabilityError
from wopt.interfaces import SILENT, Clock, FlowBlock, Listener, SolveReport, Subproblem, Target
from wopt.parallel import SOLO, Team
from wopt.statistics import optimal_slope
from wopt.targets import moments
from wopt.train import minimise_by_lbfgs, spread


def laplace(target: Target, start: Tensor, iterations: int = 500) -> tuple[Tensor, Tensor] | None:
    """Return a target's mode, shape ``(d,)``, and H^-1, ``(d, d)``; ``None`` unless H > 0.

    H is the Hessian of the potential V, so N(mode, H^-1) is Laplace's approximation.

    Args:
        start: Point from which the mode is searched, shape ``(d,)``, float64.
        iterations: Largest number of L-BFGS iterations.

    Example:
        >>> import wopt
        >>> law = wopt.build("target", {"name": "gaussian", "mean": [3.0, 0.0], "scale": 2.0})
        >>> mode, covariance = laplace(law, torch.zeros(2).double(), 100)
        >>> [round(v, 4) for v in mode.tolist()], round(float(covariance[0, 0]), 4)
        ([3.0, 0.0], 4.0)
    """
    x = start.detach().clone()[None].requires_grad_()
    if minimise_by_lbfgs([x], lambda: _value(target, x), iterations).diverged:
        return None
    mode = x.detach()[0]
    try:
        hessian = torch.autograd.functional.hessian(lambda y: _value(target, y[None]), mode)
    except RuntimeError:  # not twice differentiable
        return None
    if not bool(torch.isfinite(hessian).all()):
        return None
    values, vectors = torch.linalg.eigh(hessian)
    if not float(values[0]) > 1e-12 * float(values[-1]):
        return None
    return mode, vectors / values @ vectors.T


def _value(target: Target, x: Tensor) -> Tensor:
    value: Tensor = target.potential(x).sum()
    return value


class _Affine(FlowBlock):
    """T(x) = b + A (s + exp(S) x), S symmetric: affine, in the coordinates of a first guess."""

    provides = Capability.LOG_DET

    def __init__(self, slope: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.generator = nn.Parameter(torch.zeros_like(slope))
        self.step = nn.Parameter(torch.zeros_like(shift))
        self.register_buffer("slope", slope)
        self.register_buffer("shift", shift)
        self.slope: Tensor
        self.shift: Tensor

    def whole(self) -> tuple[Tensor, Tensor]:
        """Return the slope, shape ``(d, d)``, and the shift, ``(d,)``, of T."""
        stretch = torch.linalg.matrix_exp((self.generator + self.generator.T) / 2)
        return self.slope @ stretch, self.slope @ self.step + self.shift

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and log |det DT|, ``(n,)``."""
        slope, shift = self.whole()
        log_det = self.generator.trace() + torch.linalg.slogdet(self.slope)[1]
        return x @ slope.T + shift, log_det.expand(len(x))

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the inverse, shape ``(n, d)``, and its log |det|, ``(n,)``."""
        slope, shift = self.whole()
        log_det = torch.linalg.slogdet(slope)[1]
        return torch.linalg.solve(slope, (y - shift).T).T, -log_det.expand(len(y))


def become_gaussian(
    block: FlowBlock,
    subproblem: Subproblem,
    target: Target | None,
    iterations: int | Clock,
    listener: Listener = SILENT,
    team: Team = SOLO,
) -> SolveReport:
    """Make a block the affine map that minimises a subproblem on its particles.

    L-BFGS begins from the identity or, where the target has a potential with a mode, from the map
    to Laplace's approximation, whichever is better. Densities of hierarchical models may have no
    mode, and far from it the identity is a bad guess.

    The particles count as Gaussian: of all affine maps to the same Gaussian the block becomes the
    optimal one, which is symmetric (Gelbrich 1990). For particles with the moments of N(0, I) and
    G = KL(. | p) the result is the Gaussian q that minimises KL(q | p) on these draws.

    Source: Giordano, Ingram, Broderick, *Black box variational inference with a deterministic
    objective*, JMLR 2024.

    Args:
        block: A block that has :meth:`~wopt.interfaces.block.FlowBlock.become_affine`.
        target: The objective's target, if any.
        iterations: Largest number of L-BFGS iterations, or a clock that ends them.
    """
    particles = subproblem.particles
    if particles.condition:
        raise CapabilityError(
            'the solver "gaussian" makes maps without conditions, and the particles have '
            "some; choose adam, muon or lbfgs"
        )
    sub = _in_float64(subproblem)
    mean, covariance = moments(sub.particles)
    device = sub.particles.points.device
    affine = _Affine(torch.eye(len(mean)).double(), torch.zeros_like(mean)).to(device)
    if target is not None and Capability.POTENTIAL in target.provides:
        peak = laplace(target, mean)
        if peak is not None:
            mode, wide = peak
            steepness = optimal_slope(covariance, wide)
            other = _Affine(steepness, mode - steepness @ mean).to(device)
            affine = min(other, affine, key=lambda map_: _loss(sub, map_))
    shared = spread(affine, team)
    report = minimise_by_lbfgs(
        [*affine.parameters()], lambda: sub.loss(shared), iterations, listener
    )
    value, (slope, shift) = _loss(sub, affine), affine.whole()
    if not math.isfinite(value):
        return SolveReport(report.iterations, value, diverged=True)
    optimal = optimal_slope(covariance, slope @ covariance @ slope.T)
    block.become_affine(optimal, slope @ mean + shift - optimal @ mean)
    return SolveReport(report.iterations, value, diverged=False)


def _in_float64(sub: Subproblem) -> Subproblem:
    """Return the subproblem with particles and anchor in float64."""
    p = sub.particles
    doubled = {
        name: value.double()
        for name in ("points", "weights", "log_det", "log_density_start")
        if (value := getattr(p, name)) is not None
    }
    return dataclasses.replace(
        sub, particles=dataclasses.replace(p, **doubled), anchor=sub.anchor.double()
    )


@torch.no_grad()
def _loss(sub: Subproblem, affine: _Affine) -> float:
    """Return the loss of an affine map; infinite where it is not a number or the map singular."""
    value, (slope, _) = sub.loss(affine).item(), affine.whole()
    singular = not float(torch.linalg.svdvals(slope)[-1]) > 0
    return math.inf if singular or math.isnan(value) else value
