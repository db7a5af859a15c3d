"""Bases of this plugin's schemes: the option step_size, and limits on it."""

from __future__ import annotations

import abc
import dataclasses

import wopt
from wopt import History, Objective
from wopt.component import fields


@fields
class Stepped(wopt.ProximalScheme, abc.ABC):
    """A scheme whose one option is its step size."""

    step_size: wopt.StepSizeOption = wopt.named("constant")


@dataclasses.dataclass(frozen=True)
class Limit:
    """The largest step size at which a scheme is stable.

    Attributes:
        value: The largest stable h.
        why: The reason for the limit, in words.
    """

    value: float
    why: str


class LimitedScheme(Stepped, abc.ABC):
    """A scheme that is stable for small h only, and refuses larger ones.

    The first step size is checked before any work. A later one above the limit ends the run with
    the steps made so far.
    """

    @abc.abstractmethod
    def limit(self, objective: Objective) -> Limit | None:
        """Return the limit, where it is known."""

    def check(self, objective: Objective) -> None:
        """Raise if the first step size is above the limit."""
        message = self._too_large(self.step_size(0), objective)
        if message:
            raise wopt.ConfigError(message)

    def refuse_large(self, history: History, objective: Objective) -> None:
        """Raise if a step's size is above the limit."""
        message = self._too_large(history.step_size, objective)
        if message:
            raise wopt.DivergenceError(message)

    def _too_large(self, h: float, objective: Objective) -> str | None:
        limit = self.limit(objective)
        if limit is None or h <= limit.value * (1 + 1e-12):
            return None
        return (
            f"{type(self).__name__} is unstable for h > {limit.value:.4g} ({limit.why}), and h is "
            f"{h:g}; lower scheme.step_size, or choose a scheme without a limit, such as jko"
        )
