"""Exact solutions: the exact law at every time, to compare an evolution with."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from wopt.component import Component
from wopt.interfaces.objective import Objective
from wopt.interfaces.source import Source
from wopt.interfaces.target import Target


@dataclasses.dataclass(frozen=True)
class ExactLaws:
    """The known properties of p_t, the law at time t of the gradient flow from a start.

    Attributes:
        law: Maps a time to p_t, as a target with a density (POTENTIAL and NORMALISED) and samples;
            ``None`` if only a moment is known.
        carry: Maps points ``(n, d)`` and a time t to points ``(n, d)``, pushing p_0 forward to p_t;
            ``None`` if no such map is known. Errors are then measured with one set of particles on
            both sides, so most noise cancels, and all of it with quadrature nodes.
        second_moment: Maps a time to E |X_t|^2; ``None`` if it is not known.
        positive: Whether the density is positive everywhere. Otherwise KL is infinite as soon as a
            particle leaves the support, so it is not measured.
    """

    law: Callable[[float], Target] | None = None
    carry: Callable[[Tensor, float], Tensor] | None = None
    second_moment: Callable[[float], float] | None = None
    positive: bool = True


class ExactSolution(Component, abc.ABC):
    """The exact gradient flow of some objectives from some starts.

    Example:
        >>> import wopt
        >>> exact = wopt.build("exact", "ornstein_uhlenbeck")
        >>> start = wopt.build("source", {"name": "gaussian", "scale": 4.0, "dim": 1})
        >>> laws = exact.of(start, wopt.build("objective", "kl"), dim=1)
        >>> round(laws.second_moment(0.9), 4)  # 1 + 15 exp(-1.8)
        3.4795
    """

    kind: ClassVar[str] = "exact"

    @abc.abstractmethod
    def of(self, source: Source, objective: Objective, dim: int) -> ExactLaws:
        """Return the solution of the objective's flow from the source's law.

        Args:
            source: The start.
            objective: The objective G.
            dim: The dimension d.

        Raises:
            ConfigError: No solution of that flow is known; the message says which are.
        """
