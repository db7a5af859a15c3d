"""Proximal steps in the divergence KL, by one map that is replaced at each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, FlowBlock, History, Objective, Particles, Subproblem
from wopt.component import fields
from wopt.psis import smoothed_importance_weights
from wopt.statistics import Mean, even_power, mean_and_error


@fields
class KLProximal(wopt.ProximalScheme):
    """The proximal point scheme of KL to a target nu, with KL in place of the transport cost.

        q_{k+1} = argmin over q of  KL(q | nu) + (1/a - 1) KL(q | q_k)  ~  q_k^(1-a) nu^a.

    From the start pi the exact steps are on the geometric path

        q_k ~ pi^(1 - l_k) nu^(l_k),    1 - l_{k+1} = (1 - l_k) (1 - a),

    and a is as large as the draws of q_k allow: at a their weights w = (nu/q_k)^a have the relative
    effective size ``even``, or a is 1. The next map maximises the mean of log q under these
    weights, which Pareto smoothing cuts, so that no part of q_k is given up: KL(nu | q) is
    minimised where one step of ``jko`` minimises KL(q | nu). Each map begins as the one before and
    replaces it. The law that a map misses is the next step's q_k, so its error is corrected.

    Source: Guo, Choi, Zhu, Tao, Chen, *Proximal diffusion neural sampler*, 2025 (arXiv 2510.03824);
    Blessing et al., *Trust region constrained measure transport in path space*, 2025 (arXiv
    2508.12511); Vehtari et al., *Pareto smoothed importance sampling*, 2024.

    Args:
        step_size: h > 0, or a rule for it: a is at most h/(1 + h).
        even: Relative effective size of the weights of a step.

    Raises:
        CapabilityError: The objective has no target with a potential, or the start's density is not
            known.

    Example:
        >>> import torch, wopt
        >>> x = wopt.Particles.start(torch.linspace(-2, 2, 5)[:, None].double())
        >>> log_density = lambda x: -x[:, 0].square() / 2
        >>> history = wopt.History(x, None, None, 0, 1e12, None, start=x, log_density=log_density)
        >>> far = {"name": "gaussian", "mean": [9.0]}
        >>> far = wopt.build("objective", {"name": "kl", "target": far})
        >>> plan = KLProximal(even=0.5).plan(history, far)
        >>> 0 < plan["power"] < 0.2, plan["power"] == plan["reached"]
        (True, True)
    """

    cites = ("guo2025", "blessing2025", "vehtari2024")
    needs = Capability.INVERSE | Capability.LOG_DET
    order = None
    looks_back = False
    replaces = True

    step_size: wopt.StepSizeOption = wopt.named("constant", value=1e12)
    even: Annotated[
        float,
        Field(gt=0, lt=1, description="relative effective size of the weights of a step"),
    ] = 0.5

    def check(self, objective: Objective) -> None:
        """Raise unless the objective has a target with a potential."""
        target = objective.target
        if target is None or Capability.POTENTIAL not in target.provides:
            raise wopt.CapabilityError(
                "kl_proximal weighs draws by the target's density, and the objective has no target "
                "with a potential; choose kl with such a target, or another scheme, such as jko"
            )

    def plan(self, history: History, objective: Objective) -> dict[str, float]:
        """Return a as ``power``, and l after the step as ``reached``."""
        h, before = history.step_size, history.plan.get("reached", 0.0)
        log_w = _log_weights(history, objective)
        a = min(even_power(log_w, self.even, history.particles.shares()), h / (1 + h))
        return {"power": a, "reached": 1 - (1 - before) * (1 - a)}

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the likelihood of the previous map's images, by their weights."""
        now, start = history.particles, history.start or history.particles
        log_w = history.plan["power"] * _log_weights(history, objective)
        if now.weights is None:  # draws; nodes have no tail to cut
            log_w = smoothed_importance_weights(log_w).log_weights.to(log_w)
        log_w = log_w - log_w.max()
        weights = log_w.exp() / now.mean(log_w.exp())
        about = start, now.points, history.step_size, objective
        return Reweighted(*about, now=now, weights=weights, log_density=_known(history))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reweighted(Subproblem):
    """max over T of  E_w log q(y),  q the image of the start under T, at fixed points y.

    Attributes:
        now: Images y of the particles under the previous map.
        weights: Weights w of the images, of mean one, shape ``(n,)``.
        log_density: Log-density of the start, ``(n, d)`` to ``(n,)``, nats.
    """

    now: Particles
    weights: Tensor
    log_density: Callable[[Tensor], Tensor]

    proximal = False
    joint = False

    @property
    def baseline(self) -> Particles:
        """Images of the particles under the previous map."""
        return self.now

    def rows(self, index: Tensor | slice) -> Self:
        """Return the subproblem on the particles of ``index``, shape ``(k,)``, or of a slice."""
        return dataclasses.replace(
            super().rows(index), now=self.now.rows(index), weights=self.weights[index]
        )

    def loss(self, block: FlowBlock) -> Tensor:
        """Return -E_w log q, shape ``()``, differentiable in the block's parameters."""
        return -self.now.mean(self.weights * self._log_q(block))

    @torch.no_grad()
    def change(self, block: FlowBlock, moved: Particles) -> Mean:
        """Return how much -E_w log q is above that of the previous map, with its error."""
        rise = _log_q(self.particles, self.now, self.log_density) - self._log_q(block)
        return mean_and_error(self.weights * rise, self.now.weights)

    def stationarity(self, block: FlowBlock) -> None:
        """Return nothing: no condition is known at each particle."""

    def gradient(self, objective: Objective, moved: Particles) -> None:
        """Return nothing: the step does not reveal the Wasserstein gradient."""

    def _log_q(self, block: FlowBlock) -> Tensor:
        back, log_det = block.differentiable_inverse(self.now.points)
        return self.log_density(back) + log_det


def _known(history: History) -> Callable[[Tensor], Tensor]:
    """Return the log-density of the start."""
    if history.log_density is None:
        raise wopt.CapabilityError(
            "kl_proximal weighs draws by the start's density, which is not known (data known by "
            "samples only); choose a source with a density, such as gaussian"
        )
    return history.log_density


def _log_q(start: Particles, now: Particles, log_density: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the log-density of the images at the images, shape ``(n,)``."""
    assert now.log_det is not None
    return log_density(start.points) - now.log_det


def _log_weights(history: History, objective: Objective) -> Tensor:
    """Return log nu/q_k at the particles, shape ``(n,)``, -infinity where it is not finite."""
    now, start = history.particles, history.start or history.particles
    assert objective.target is not None
    log_w = -objective.target.potential(now.points) - _log_q(start, now, _known(history))
    return torch.where(log_w.isfinite(), log_w, -torch.inf)
