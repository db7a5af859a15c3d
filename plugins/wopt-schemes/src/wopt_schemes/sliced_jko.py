"""The JKO scheme with the sliced Wasserstein distance."""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import History, Objective, Particles, Subproblem
from wopt.component import fields


@fields
class SlicedJKO(wopt.ProximalScheme):
    """The JKO scheme with the sliced Wasserstein distance in place of the displacement.

        rho_{n+1} = argmin  G(rho) + SW_2(rho_n, rho)^2 / (2 h),
        SW_2(mu, nu)^2 = mean over directions u of  W_2(u . mu, u . nu)^2,

    where W_2 in one dimension is computed by sorting. Between isotropic Gaussians it is exactly jko
    with step d h; so it follows another flow than jko (d times faster there), and states no order.
    Its fixed points are those of jko. The directions are orthonormal frames drawn once, so that
    all directions of space have equal weight.

    Source: Bonet, Courty, Septier, Drumetz, *Efficient gradient flows in sliced-Wasserstein
    space*, 2022.

    Example:
        >>> SlicedJKO(step_size=0.5, frames=10).frames
        10
    """

    cites = ("bonet2022",)
    order = None

    step_size: wopt.StepSizeOption = wopt.named("constant")
    frames: Annotated[
        int, Field(ge=1, le=1_000_000, description="number of orthonormal frames of directions")
    ] = 16
    seed: Annotated[int, Field(ge=0, description="seed of the directions")] = 0

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored at the particles, with the whole objective implicit."""
        if history.particles.weights is not None:
            raise wopt.CapabilityError(
                "sliced_jko sorts particles of equal weight, and these are weighted; use jko or "
                "entropic_jko for quadrature nodes"
            )
        x = history.particles
        u = directions(x.dim, self.frames, self.seed).to(x.points)
        return Sliced(x, x.points, history.step_size, objective, u)


@dataclasses.dataclass(frozen=True)
class Sliced(Subproblem):
    """min over T of  G'(T_# rho) + SW_2(anchors, T_# rho)^2 / (2 h').

    Attributes:
        directions: Unit vectors u, shape ``(d, m)``.
    """

    directions: Tensor

    def cost(self, moved: Particles) -> Tensor:
        """Return each particle's part of SW_2(anchors, moved)^2 / (2 h'), shape ``(n,)``."""
        old = (self.anchor @ self.directions).sort(dim=0).values
        new, order = (moved.points @ self.directions).sort(dim=0)
        shares = torch.zeros_like(new).scatter(0, order, (new - old).square())
        return shares.mean(1) / (2 * self.step_size)

    def gradient(self, objective: Objective, moved: Particles) -> None:
        """Return None: the gradient is (a - y)/h' under squared displacement only."""


@functools.lru_cache(maxsize=16)
def directions(dim: int, frames: int, seed: int) -> Tensor:
    """Return unit vectors, shape ``(dim, frames * dim)``: the columns of random rotations.

    Example:
        >>> u = directions(3, 4, seed=0)
        >>> bool(torch.allclose(u @ u.T, 4 * torch.eye(3, dtype=u.dtype)))
        True
    """
    rng = torch.Generator().manual_seed(seed)
    normal = torch.randn(frames, dim, dim, dtype=torch.float64, generator=rng)
    return torch.linalg.qr(normal).Q.transpose(0, 1).reshape(dim, frames * dim)
