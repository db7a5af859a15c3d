"""Rows on which challengers are fitted and judged, and mixtures with the model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.capabilities import Capability, require
from wopt.errors import CapabilityError, DataError
from wopt.interfaces import Target
from wopt.particles import Particles
from wopt_certify.challenge.challenger import Density

__all__ = ["FLOOR", "ChallengeRows", "Stack", "View"]


@dataclasses.dataclass(frozen=True)
class View:
    """Rows in one set of coordinates, with the model's log-density there.

    Attributes:
        points: Shape ``(n, d)``, float64.
        log_model: The model's log-density at the points in these coordinates, nats, shape ``(n,)``.
    """

    points: Tensor
    log_model: Tensor

    def part(self, index: Tensor | slice) -> View:
        """Return the rows of ``index``, a slice, a mask ``(n,)`` or indices ``(m,)``."""
        return View(self.points[index], self.log_model[index])

    def ratio(self, density: Density) -> Tensor:
        """Return log r - log model in nats, shape ``(n,)``, r being a density here."""
        return density(self.points) - self.log_model


@dataclasses.dataclass(frozen=True)
class ChallengeRows:
    """Rows of p seen from the data's side, from the noise's side, or from both.

    The two views differ by the map F, whose log-det cancels in log r - log model:

        log r(x) - log model(x) = log r'(F x) - log q(F x),    r' the law of F X for X from r.

    So a challenger may be a density on either side, and challengers of both sides can be mixed.

    Attributes:
        views: ``"data"``: x with log_det F(x) + log q(F x). ``"noise"``: F(x) with log q(F x).
        condition: Number of coordinates, the last ones, that are conditions.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> x = torch.tensor([[2.0]], dtype=torch.float64)
        >>> moved = Particles.start(x).moved(x / 2, torch.tensor([-0.6931]).double())
        >>> rows = ChallengeRows.of(GaussianTarget([0.0], [[1.0]]), x, moved)
        >>> [round(float(rows.views[side].log_model), 3) for side in ("noise", "data")]
        [-1.419, -2.112]
    """

    views: dict[str, View]
    condition: int = 0

    @classmethod
    def of(cls, target: Target, start: Tensor, moved: Particles) -> ChallengeRows:
        """Return the rows of a flow.

        Args:
            start: x, shape ``(n, d)``, in the flow's coordinates.
            moved: F(x) with log_det; the rows have its context as last coordinates.

        Raises:
            CapabilityError: q is not normalised, or the maps give no log_det.
            DataError: The particles are weighted.
        """
        need = Capability.POTENTIAL | Capability.NORMALISED
        require("a challenge", need, f"target {type(target).__name__}", target.provides)
        if moved.log_det is None:
            raise CapabilityError("a challenge needs LOG_DET of every block on the way")
        if moved.weights is not None:
            raise DataError("a challenge judges by samples; these particles are weighted nodes")
        y, x = (
            torch.cat(given(points.detach(), moved.context), dim=1).double().cpu()
            for points in (moved.points, start)
        )
        log_q = -target.potential(moved.points.detach()).double().cpu()
        log_model = moved.log_det.detach().double().cpu() + log_q
        return cls({"noise": View(y, log_q), "data": View(x, log_model)}, moved.condition)

    def __len__(self) -> int:
        return len(next(iter(self.views.values())).points)

    @property
    def moves(self) -> int:
        """Number of coordinates that are not conditions."""
        return next(iter(self.views.values())).points.shape[1] - self.condition

    def part(self, index: Tensor | slice) -> ChallengeRows:
        """Return the rows of ``index``, a slice, a mask ``(n,)`` or indices ``(m,)``."""
        return ChallengeRows(
            {k: view.part(index) for k, view in self.views.items()}, self.condition
        )

    def finite(self) -> Tensor:
        """Return the mask ``(n,)`` of rows with finite points and log-densities in every view."""
        finite = torch.ones(len(self), dtype=torch.bool)
        for view in self.views.values():
            finite &= torch.isfinite(view.points).all(1) & torch.isfinite(view.log_model)
        return finite


FLOOR = 0.02
"""Least weight of the model: the loss of a mixture is at most log 50 nats at any point."""


@dataclasses.dataclass(frozen=True)
class Stack:
    """The density  r = w_0 model + sum_k w_k r_k,  a convex mixture.

    Since r >= w_0 model, log r - log model >= log w_0 at every point, whatever the challengers.

    Attributes:
        weights: w, the model's first, shape ``(k + 1,)``.
    """

    names: tuple[str, ...]
    weights: Tensor

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        ratios: Tensor,
        floor: float = FLOOR,
        iterations: int = 300,
    ) -> Stack:
        """Find the weights that maximise the mean of log r, by EM, with a floor for the model.

        Args:
            ratios: log r_k - log model on rows, nats, shape ``(n, k)``.
            floor: Least weight of the model.
        """
        logs = _with_model(ratios)
        scaled = (logs - logs.amax(1, keepdim=True)).exp().clamp(min=torch.finfo(logs.dtype).tiny)
        k = logs.shape[1]
        weights = torch.full((k,), 1 / k, dtype=torch.float64)
        for _ in range(iterations):
            before = weights
            weights = weights * ((1 / (scaled @ weights)) @ scaled) / len(scaled)
            if float(weights[0]) < floor:
                rest = weights[1:] / weights[1:].sum() * (1 - floor)
                weights = torch.cat([weights.new_tensor([floor]), rest])
            if torch.equal(weights, before):
                break
        return cls(tuple(names), weights)

    @property
    def least(self) -> float:
        """log w_0, a lower bound of log r - log model, in nats."""
        return math.log(float(self.weights[0]))

    def ratio(self, ratios: Tensor) -> Tensor:
        """Return log r - log model in nats, from shape ``(n, k)`` to ``(n,)``."""
        return (_with_model(ratios) + self.weights.log()).logsumexp(1)

    def by(self, count: int = 3) -> str:
        """Return the names of the challengers of largest weight, or ``model`` if none has 0.01."""
        order = self.weights[1:].argsort(descending=True).tolist()
        named = [self.names[k] for k in order[:count] if float(self.weights[k + 1]) >= 0.01]
        return ", ".join(named) or "model"


def _with_model(ratios: Tensor) -> Tensor:
    ratios = ratios.double().nan_to_num(nan=-math.inf, posinf=-math.inf)
    return torch.cat([ratios.new_zeros(len(ratios), 1), ratios], dim=1)
