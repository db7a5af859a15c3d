"""The candidates of the core, and the plans that are tried briefly beside that of the rules."""

from __future__ import annotations

from typing import Any, ClassVar

from wopt.component import build
from wopt.host import host
from wopt.interfaces.candidate import Candidate
from wopt.plan.facts import Facts
from wopt.plan.planner import Plan, plan
from wopt.plan.rule import PlanRule
from wopt.plan.rules import BENT, CROWDED, LEAN, SMOOTH

__all__ = ["Bent", "Crowded", "Lean", "Smooth", "alternatives", "rule_of"]


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


_LEAST = 100
"""Rows below which the held-out rows of a trial are too few to tell plans apart."""


def alternatives(facts: Facts) -> tuple[Plan, ...]:
    """Return the plans between which trials decide, that of the rules first.

    The first plan is the only one if rows are many (time limits training, not the rows), if rows
    are fewer than 100, or if the start's density is known.

    Example:
        >>> [p.table["block"]["hidden"] for p in alternatives(Facts(300, 30, 5, crowding=1.0))]
        [[64, 64, 64], [32, 32], [64, 64, 64], [16]]
        >>> len(alternatives(Facts(1_000_000, 1000, 64)))
        1
    """
    first = plan(facts)
    if facts.kind == "density_known" or not facts.small or facts.rows < _LEAST:
        return (first,)
    entries = host().registry.entries("candidate")
    candidates = [build("candidate", entry.qualified) for entry in entries]
    fitting = sorted((c for c in candidates if c.fits(facts)), key=lambda c: c.rank)
    others = (plan(facts, rule_of(candidate)) for candidate in fitting)
    return (first, *(other for other in others if other.table != first.table))
