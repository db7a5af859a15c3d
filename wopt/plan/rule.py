"""A rule of the planner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from wopt.plan.facts import Facts

__all__ = ["PlanRule"]

Options = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class PlanRule:
    """A choice of options for data of some kind, with its reason and its evidence.

    Attributes:
        name: Name of the rule.
        measured: The evidence: data, effort, figures.
        options: The options chosen, as tables of a configuration; or a function of the facts.
        why: A clause for people, or a function of the facts; empty if no explanation is needed.
        applies: Predicate of the facts to which the rule applies; ``None`` if always.
        recipe: Whether the rule chooses nets and regularisation for a kind of rows, so that
            another recipe can be tried in its place.
    """

    name: str
    measured: str
    options: Options | Callable[[Facts], Options]
    why: str | Callable[[Facts], str] = ""
    applies: Callable[[Facts], bool] | None = None
    recipe: bool = False

    def speaks(self, facts: Facts) -> bool:
        """Return whether the rule applies to the facts."""
        return self.applies is None or self.applies(facts)

    def chosen(self, facts: Facts) -> Options:
        """Return the options chosen for the facts."""
        return self.options(facts) if callable(self.options) else self.options

    def reason(self, facts: Facts) -> str:
        """Return the reason in a clause; empty if none is given."""
        return self.why(facts) if callable(self.why) else self.why
