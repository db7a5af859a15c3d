"""Conditional flows: conditions are the last coordinates, which maps leave unchanged."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.errors import CapabilityError
from wopt.interfaces.objective import Objective
from wopt.interfaces.target import Target
from wopt.particles import split_conditions

__all__ = ["ConditionalTarget", "conditional"]


class ConditionalTarget(Target):
    """The product of a target and of the data's law of conditions, on R^(d + c).

        V(x, u) = V(x):  the density is that of x given u, which is the target's for every u.

    Args:
        target: The target on R^d.
        conditions: Rows u of the training data, shape ``(m, c)``, in the flow's coordinates.

    Example:
        >>> import wopt
        >>> q = ConditionalTarget(wopt.build("target", "gaussian"), torch.ones(4, 1))
        >>> q.sample(2, 3, torch.Generator().manual_seed(0))[:, 2].tolist()
        [1.0, 1.0]
    """

    def __init__(self, target: Target, conditions: Tensor) -> None:
        self.target = target
        self.conditions = conditions
        self.provides = target.provides
        self.dim = None if target.dim is None else target.dim + self.condition
        self.convexity = target.convexity
        self.smoothness = target.smoothness

    @property
    def condition(self) -> int:
        """Number c of conditions."""
        return self.conditions.shape[1]

    def potential(self, x: Tensor) -> Tensor:
        """Return V of the first coordinates: shape ``(n, d + c)`` to ``(n,)``."""
        return self.target.potential(split_conditions(x, self.condition)[0])

    def score(self, x: Tensor) -> Tensor:
        """Return the target's score, shape ``(n, d + c)``; zero along the conditions."""
        moved, given = split_conditions(x, self.condition)
        return torch.cat([self.target.score(moved), torch.zeros_like(given)], dim=1)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples of the target with conditions drawn from the rows, ``(n, d + c)``."""
        z = self.target.sample(n, dim - self.condition, rng)
        rows = torch.randint(len(self.conditions), (n,), generator=rng, device=rng.device)
        return torch.cat([z, self.conditions.to(z)[rows]], dim=1)


def conditional(objective: Objective, conditions: Tensor) -> Objective:
    """Return the mean over conditions u of the objective of the law of x given u.

    For KL, G = E KL(rho(. | u) | q): the mean negative log-likelihood of x given u, up to a
    constant. An objective that compares whole laws cannot be evaluated on particles that each
    have their own condition.

    Args:
        objective: An objective of laws on R^d.
        conditions: Rows u of the training data, shape ``(m, c)``.

    Raises:
        CapabilityError: The objective is not KL to a target.
    """
    if not objective.gap_is_kl or objective.target is None:
        raise CapabilityError(
            f"conditional flows need an objective that is a mean over particles, and "
            f"{type(objective).__name__} is not one: choose kl, or leave out the source's `context`"
        )
    wrapped = ConditionalTarget(objective.target, conditions)
    return objective.with_options(target=wrapped)
