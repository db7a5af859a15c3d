"""Local flow matching: the Ornstein-Uhlenbeck step, by regression of a velocity field."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

import wopt
from wopt import Capability, FlowBlock, History, Objective, Particles, Subproblem
from wopt.targets import gaussian_moments
from wopt_schemes.base import Stepped
from wopt_schemes.regression import Regression


class LocalFlowMatching(Stepped):
    """Follow the Fokker-Planck flow of KL to N(n, S) for time h, exact up to the regression.

    The flow carries x to the law of

        x_1 = n + E (x - n) + (S - E S E)^(1/2) z,    E = exp(-h S^-1),  z standard normal,

    and a field that carries rho_n there in unit time is the minimiser of

        E | v(t, (1 - t) x + t x_1) - (x_1 - x) |^2,    t uniform on [0, 1].

    Training needs no log-det and solves no ODE; the block's flow of v is the step. For KL
    to a Gaussian only, since only then x_1 can be drawn. It has no order: at any h the minimiser
    meets the exact flow of laws.

    Source: Xu, Cheng, Xie, *Local flow matching*, 2024 (arXiv 2410.02548); docs/theory 3.5.

    Example:
        >>> import wopt
        >>> scheme = LocalFlowMatching(step_size=0.5)
        >>> scheme.check(wopt.build("objective", "kl"))
        >>> scheme.check(wopt.build("objective", "entropy"))
        Traceback (most recent call last):
        ...
        wopt.errors.ConfigError: local_flow_matching needs KL to a Gaussian ...
    """

    cites = ("xu2024",)
    order = None
    needs = Capability.FIELD

    def check(self, objective: Objective) -> None:
        """Raise unless the objective is KL to a Gaussian.

        Raises:
            ConfigError: The objective is another one.
        """
        target = objective.target
        kl = objective.needs == Capability.POTENTIAL | Capability.LOG_DET
        if not kl or target is None or Capability.SCORE not in target.provides:
            raise wopt.ConfigError(_REFUSED)
        _gaussian(target, target.dim or 1, torch.zeros(1, dtype=torch.float64))

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the regression, which has no anchor of its own, for the target's process."""
        x = history.particles.points
        assert objective.target is not None
        mean, covariance = _gaussian(objective.target, x.shape[1], x)
        return OrnsteinUhlenbeckRegression(
            history.particles, x, history.step_size, mean=mean, covariance=covariance
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrnsteinUhlenbeckRegression(Regression):
    """The regression of a velocity field on an Ornstein-Uhlenbeck process run for time h'.

    Attributes:
        mean: Mean n of the law N(n, S) that the process approaches, shape ``(d,)``.
        covariance: Covariance S, shape ``(d, d)``.
        process: e^(-h' S^-1) and the factor L of the noise's covariance L L^T, shapes ``(d, d)``.
    """

    mean: Tensor
    covariance: Tensor
    process: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        if self.process is None:  # once per step: subproblems of batches are given it
            object.__setattr__(self, "process", self._process())

    def _process(self) -> tuple[Tensor, Tensor]:
        decay = torch.linalg.matrix_exp(-self.step_size * torch.linalg.inv(self.covariance))
        noise = self.covariance - decay @ self.covariance @ decay
        return decay, torch.linalg.cholesky((noise + noise.T) / 2)

    def cost(self, moved: Particles) -> Tensor:
        """Return zeros, shape ``(n,)``, so that the guard compares energies only."""
        return torch.zeros_like(moved.points[:, 0])

    def loss(self, block: FlowBlock) -> Tensor:
        """Return the regression's loss, shape ``()``, with fresh noise and times."""
        x = self.particles.points
        end = self.end(x)
        t = torch.rand(len(x), dtype=x.dtype, device=x.device)
        between = torch.lerp(x, end, t[:, None])
        velocity = block.field(t, *self.particles.moved(between, None).inputs)
        return self.particles.mean((velocity - (end - x)).square().sum(1))

    def end(self, x: Tensor) -> Tensor:
        """Draw the end point of the process from ``x``, shape ``(n, d)``."""
        assert self.process is not None
        decay, factor = self.process
        z = torch.randn(x.shape, dtype=x.dtype, device=x.device)
        return self.mean + (x - self.mean) @ decay.T + z @ factor.T


def _gaussian(target: wopt.Target, dim: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of a Gaussian target, from its score, which must be affine."""
    moments = gaussian_moments(target, dim)
    if moments is None:
        raise wopt.ConfigError(_REFUSED)
    mean, covariance = moments
    return mean.to(like), covariance.to(like)


_REFUSED = (
    "local_flow_matching needs KL to a Gaussian target, because only its Ornstein-Uhlenbeck "
    "process can be drawn; choose objective kl with target gaussian, or another scheme, such as jko"
)
