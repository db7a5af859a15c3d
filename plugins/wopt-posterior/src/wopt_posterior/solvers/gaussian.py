"""Where a sampler begins: Laplace's approximation, and the best affine map of a step."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from wopt.capabilities import Capability
from wopt.errors import CapabilityError
from wopt.interfaces import SILENT, FlowBlock, Listener, SolveReport, Subproblem, Target
from wopt.parallel import SOLO, Team
from wopt.statistics import optimal_slope
from wopt.targets import moments
from wopt.train import minimise_by_lbfgs, spread

_MOST = 200
"""Largest dimension for which a Hessian is computed."""


def laplace(target: Target, start: Tensor, iterations: int) -> tuple[Tensor, Tensor] | None:
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
    if x.shape[1] > _MOST:
        return None
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

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.generator = nn.Parameter(torch.zeros(dim, dim, dtype=torch.float64))
        self.step = nn.Parameter(torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("slope", torch.eye(dim, dtype=torch.float64))
        self.register_buffer("shift", torch.zeros(dim, dtype=torch.float64))
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
    iterations: int,
    listener: Listener = SILENT,
    team: Team = SOLO,
) -> SolveReport:
    """Make a block the affine map that minimises a subproblem on its particles.

    L-BFGS begins from the identity and, where the target has a potential with a mode, from the map
    to Laplace's approximation; the better result is kept. Densities of hierarchical models may
    have no mode, and far from it the identity is a bad guess, so both are tried.

    The particles count as Gaussian: of all affine maps to the same Gaussian the block becomes the
    optimal one, which is symmetric (Gelbrich 1990). For particles with the moments of N(0, I) and
    G = KL(. | p) the result is the Gaussian q that minimises KL(q | p) on these draws.

    Source: Giordano, Ingram, Broderick, *Black box variational inference with a deterministic
    objective*, JMLR 2024.

    Args:
        block: A block that has :meth:`~wopt.interfaces.block.FlowBlock.become_affine`.
        target: The objective's target, if any.
        iterations: Largest number of L-BFGS iterations from each beginning.
    """
    particles = subproblem.particles
    if particles.condition:
        raise CapabilityError(
            'the solver "gaussian" makes maps without conditions, and the particles have '
            "some; choose adam, muon or lbfgs"
        )
    sub = _in_float64(subproblem)
    mean, covariance = moments(sub.particles)
    beginnings = [(torch.eye(len(mean)).double(), torch.zeros_like(mean))]
    if target is not None and Capability.POTENTIAL in target.provides:
        peak = laplace(target, mean, iterations)
        if peak is not None:
            mode, wide = peak
            steepness = optimal_slope(covariance, wide)
            beginnings.insert(0, (steepness, mode - steepness @ mean))
    total, least, best = 0, math.inf, beginnings[-1]
    for beginning in beginnings:
        value, whole, calls = _descend(sub, beginning, iterations, listener, team)
        total += calls
        if value < least:
            least, best = value, whole
    if not math.isfinite(least):
        return SolveReport(total, least, diverged=True)
    slope, shift = best
    optimal = optimal_slope(covariance, slope @ covariance @ slope.T)
    block.become_affine(optimal, slope @ mean + shift - optimal @ mean)
    return SolveReport(total, least, diverged=False)


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


def _descend(
    sub: Subproblem,
    beginning: tuple[Tensor, Tensor],
    iterations: int,
    listener: Listener,
    team: Team,
) -> tuple[float, tuple[Tensor, Tensor], int]:
    """Return the least loss from a beginning, slope and shift there, and the evaluations made."""
    affine = _Affine(len(beginning[1])).to(sub.particles.points.device)
    affine.slope.copy_(beginning[0])
    affine.shift.copy_(beginning[1])
    parameters = [affine.generator, affine.step]
    shared = spread(affine, team)
    report = minimise_by_lbfgs(parameters, lambda: sub.loss(shared), iterations, listener)
    with torch.no_grad():
        slope, shift = affine.whole()
        value = sub.loss(affine).item()
    singular = float(torch.linalg.svdvals(slope)[-1]) <= 0
    usable = not report.diverged and math.isfinite(value) and not singular
    return (value if usable else math.inf), (slope, shift), report.iterations
