"""The option ``plan`` of a configuration: the budget of the planner."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from wopt.component import Component, fields
from wopt.errors import ConfigError
from wopt.plan.budget import seconds_of

__all__ = ["Planning"]


def _is_time(budget: float | str | None) -> float | str | None:
    if budget is not None:
        try:
            seconds_of(budget)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    return budget


@fields
class Planning(Component):
    """The options of the planner, which chooses every option that is not given.

    Example:
        >>> Planning(budget="5min").seconds
        300.0
    """

    budget: Annotated[
        float | str | None,
        AfterValidator(_is_time),
        Field(description='CPU seconds of training: a number, "90s" or "5min"; 60 by default'),
    ] = None
    told: Annotated[
        str,
        Field(description="what was planned and why; written by wopt, which then keeps to it"),
    ] = ""

    @property
    def seconds(self) -> float | None:
        """The budget in CPU seconds."""
        return None if self.budget is None else seconds_of(self.budget)
