"""The candidates of the core: nets and regularisation for few rows, tried beside the rules."""

from __future__ import annotations

from typing import Any, ClassVar

from wopt.interfaces.candidate import Candidate
from wopt.plan.recipes import BENT, CROWDED, LEAN, SMOOTH
from wopt.plan.rule import PlanRule

__all__ = ["Bent", "Crowded", "Lean", "Smooth", "rule_of"]


class _Recipe(Candidate):
    """A recipe of the planner's rules as a candidate."""

    rule: ClassVar[PlanRule]

    def tables(self, facts: Any) -> dict[str, Any]:
        """Return the tables of the recipe."""
        return dict(self.rule.chosen(facts))

    def reason(self, facts: Any) -> str:
        """Return the clause of the recipe."""
        return self.rule.reason(facts)


class Smooth(_Recipe):
    """Nets for few rows that are spread out.

    Example:
        >>> Smooth().rank
        0
    """

    cites = ()
    rule, rank = SMOOTH, 0


class Crowded(_Recipe):
    """Nets for few rows that crowd.

    Example:
        >>> Crowded().rank
        1
    """

    cites = ()
    rule, rank = CROWDED, 1


class Bent(_Recipe):
    """Nets for few rows with heavy tails.

    Example:
        >>> Bent().rank
        2
    """

    cites = ()
    rule, rank = BENT, 2


class Lean(_Recipe):
    """Nets for rows that bear little.

    Example:
        >>> Lean().rank
        3
    """

    cites = ()
    rule, rank = LEAN, 3


def rule_of(candidate: Candidate) -> PlanRule:
    """Return a candidate as a rule, which takes the place of the recipes of the facts."""
    if isinstance(candidate, _Recipe):
        return candidate.rule
    name = type(candidate).__name__
    return PlanRule(name, "", candidate.tables, candidate.reason, recipe=True)
