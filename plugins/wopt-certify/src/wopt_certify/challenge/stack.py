"""Mixtures of challengers with the model itself."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

__all__ = ["FLOOR", "Stack"]

FLOOR = 0.02
"""Least weight of the model: the loss of a mixture is at most log 50 nats at any point."""


@dataclasses.dataclass(frozen=True)
class Stack:
    """The density  r = w_0 model + sum_k w_k r_k,  a convex mixture.

    Since r >= w_0 model, log r - log model >= log w_0 at every point, whatever the challengers.

    Attributes:
        names: Names of the k challengers.
        weights: w, the model's first, shape ``(k + 1,)``.

    Example:
        >>> ratios = torch.full((100, 1), 1.0).double()  # r_1 is e times the model everywhere seen
        >>> stack = Stack.fit(["r1"], ratios)
        >>> [round(w, 3) for w in stack.weights.tolist()]
        [0.02, 0.98]
    """

    names: tuple[str, ...]
    weights: Tensor

    @classmethod
    def fit(
        cls,
        names: list[str],
        ratios: Tensor,
        floor: float = FLOOR,
        iterations: int = 300,
        start: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> Stack:
        """Find the weights that maximise the mean of log r, by EM, with a floor for the model.

        Args:
            names: Names of the challengers.
            ratios: log r_k - log model on rows, nats, shape ``(n, k)``.
            floor: Least weight of the model.
            iterations: Iterations of EM.
            start: Initial weights, shape ``(k + 1,)``; equal ones by default.
            shares: Weights of the rows, shape ``(n,)``; equal by default.
        """
        logs = _with_model(ratios)
        scaled = (logs - logs.amax(1, keepdim=True)).exp()
        k = logs.shape[1]
        weights = torch.full((k,), 1 / k, dtype=torch.float64)
        if start is not None:  # EM cannot leave a weight of zero
            weights = 0.9 * start + 0.1 * weights
        for _ in range(iterations):
            before, of_each = weights, scaled * weights
            of_each = of_each / of_each.sum(1, keepdim=True)
            weights = of_each.mean(0) if shares is None else shares @ of_each / shares.sum()
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
