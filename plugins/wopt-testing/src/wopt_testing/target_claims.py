"""Checks of a target's claims: convexity and smoothness of V, and that it is normalised."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces import Target
from wopt_testing.checks import LawError

_POINTS = 16
_MANY = 30
_GRID, _SPAN = 801, 12.0


def check_target_claims(target: Target, dim: int, *, seed: int = 0) -> list[str]:
    """Check the properties that a target declares: bounds of V's Hessian, and its constant.

    Eigenvalues of the Hessian, by differences of the score, must lie between ``convexity`` and
    ``smoothness`` at random points and at samples of the target. In one and two dimensions
    exp(-V) of a target with NORMALISED must integrate to one.

    Example:
        >>> from wopt_testing import NormalTarget
        >>> check_target_claims(NormalTarget([0.0], [[4.0]]), 1)
        ['convexity_is_0.25', 'smoothness_is_0.25', 'normalised']
    """
    done = []
    known = Capability.SCORE in target.provides or Capability.POTENTIAL in target.provides
    if known and dim <= _MANY and (target.convexity, target.smoothness) != (None, None):
        done += _check_curvature(target, _points(target, dim, seed))
    if {Capability.NORMALISED, Capability.POTENTIAL} <= set(target.provides) and dim <= 2:
        done += _check_normalised(target, dim, seed)
    return done


def _points(target: Target, dim: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(2 * _POINTS, dim, dtype=torch.float64, generator=rng)
    z[_POINTS:] *= 3
    if Capability.TARGET_SAMPLES not in target.provides:
        return z
    return torch.cat([z, target.sample(_POINTS, dim, rng)[:_POINTS].double()])


def _check_curvature(target: Target, points: Tensor) -> list[str]:
    name, done = type(target).__name__, []
    eigenvalues = torch.stack([_eigenvalues(target, x) for x in points])
    eigenvalues = eigenvalues[torch.isfinite(eigenvalues).all(1)]
    if len(eigenvalues) == 0:
        return []
    least, largest = float(eigenvalues.min()), float(eigenvalues.max())
    slack = 1e-4 * (1 + float(eigenvalues.abs().max()))
    if target.convexity is not None:
        if least < target.convexity - slack:
            raise LawError(
                f"target {name} declares convexity {target.convexity:g}, and the Hessian of V has "
                f"an eigenvalue {least:.6g}"
            )
        done.append(f"convexity_is_{target.convexity:g}")
    if target.smoothness is not None:
        if largest > target.smoothness + slack:
            raise LawError(
                f"target {name} declares smoothness {target.smoothness:g}, and the Hessian of V "
                f"has an eigenvalue {largest:.6g}"
            )
        done.append(f"smoothness_is_{target.smoothness:g}")
    return done


def _eigenvalues(target: Target, x: Tensor) -> Tensor:
    step = 1e-4 * (1 + float(x.abs().max()))
    shifts = step * torch.eye(len(x), dtype=x.dtype)
    hessian = -(target.score(x + shifts) - target.score(x - shifts)).detach() / (2 * step)
    if not bool(torch.isfinite(hessian).all()):
        return torch.full_like(x, math.nan)
    return torch.linalg.eigvalsh((hessian + hessian.T) / 2)


@torch.no_grad()
def _check_normalised(target: Target, dim: int, seed: int) -> list[str]:
    """Raise unless the integral is one; nothing is checked if two grids disagree on it."""
    if Capability.TARGET_SAMPLES in target.provides:
        x = target.sample(500, dim, torch.Generator().manual_seed(seed)).double()
        middle, width = x.mean(0), _SPAN * float(x.std(0).max())
    else:
        middle, width = torch.zeros(dim, dtype=torch.float64), 2 * _SPAN
    fine, coarse = (_integral(target, middle, width, n) for n in (_GRID, _GRID // 2 + 1))
    if not abs(fine - coarse) < 1e-3 * abs(fine):
        return []
    if abs(fine - 1) > 0.02:
        raise LawError(
            f"target {type(target).__name__} says NORMALISED, and exp(-V) integrates to "
            f"{fine:.4g}: leave NORMALISED out of `provides`, or add log Z to V"
        )
    return ["normalised"]


def _integral(target: Target, middle: Tensor, width: float, count: int) -> float:
    side = torch.linspace(-width, width, count, dtype=torch.float64)
    grid = torch.cartesian_prod(*[side] * len(middle)).reshape(-1, len(middle)) + middle
    cell = (2 * width / (count - 1)) ** len(middle)
    return float((-target.potential(grid)).logsumexp(0).exp()) * cell
