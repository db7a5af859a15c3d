"""Budgets of CPU seconds as people write them, and the option ``plan`` that takes one."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from wopt.component import Component, fields
from wopt.errors import ConfigError

_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*")


def seconds_of(budget: float | str) -> float:
    """Return a budget in CPU seconds.

    Args:
        budget: A number of seconds, or a text such as ``"60s"``, ``"5min"`` or ``"1.5h"``.

    Raises:
        ConfigError: The budget is not a positive time.

    Example:
        >>> seconds_of("5min"), seconds_of("60s"), seconds_of(90)
        (300.0, 60.0, 90.0)
    """
    match = _PATTERN.fullmatch(budget.lower()) if isinstance(budget, str) else None
    if match and match[2] in _UNITS:
        value = float(match[1]) * _UNITS[match[2]]
    elif isinstance(budget, (str, bool)):
        value = math.nan
    else:
        value = float(budget)
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(
            f"budget {budget!r} is not a positive time; write CPU seconds (90), or a number with a "
            'unit: "60s", "5min", "1h"'
        )
    return value


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

    renamed: ClassVar[dict[str, tuple[str, dict[Any, Any]]]] = {"told": ("summary", {})}

    budget: Annotated[
        float | str | None,
        AfterValidator(_is_time),
        Field(description='CPU seconds of training: a number, "90s" or "5min"; 60 by default'),
    ] = None
    summary: Annotated[
        str,
        Field(description="what was planned and why; written by wopt, which then keeps to it"),
    ] = ""
    tried: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^\d+( \d+)*$")]] | None,
        Field(
            description="candidates whose maps the model mixes, the trained one first, with "
            "the preprocessing where they chose it, and the iterations in each hundredth of their "
            "trials; written by wopt, which repeats them"
        ),
    ] = None

    @property
    def seconds(self) -> float | None:
        """The budget in CPU seconds."""
        return None if self.budget is None else seconds_of(self.budget)
