"""A rule of the planner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from wopt.plan.facts import Facts

__all__ = ["Rule"]

Options = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What to choose of which data, why, and the measurement behind it.

    Attributes:
        name: Of the rule.
        measured: What justifies it: data, effort, figures.
        options: What it chooses, as tables of a configuration; or a function of the facts.
        why: A clause for people, likewise; empty for what needs no word.
        applies: Whether it speaks of these facts; ``None`` if always.
        recipe: Whether it chooses nets and regularisation for rows of a kind, so that another
            recipe can be tried in its place.
    """

    name: str
    measured: str
    options: Options | Callable[[Facts], Options]
    why: str | Callable[[Facts], str] = ""
    applies: Callable[[Facts], bool] | None = None
    recipe: bool = False

    def speaks(self, facts: Facts) -> bool:
        """Return whether it applies."""
        return self.applies is None or self.applies(facts)

    def chosen(self, facts: Facts) -> Options:
        """Return what it chooses."""
        return self.options(facts) if callable(self.options) else self.options

    def reason(self, facts: Facts) -> str:
        """Return why, in a clause."""
        return self.why(facts) if callable(self.why) else self.why
