"""Alternative plans for few rows, which are tried briefly beside the plan of the rules.

Facts of the data separate kinds only roughly. Where a trial is cheap it decides better.
"""

from __future__ import annotations

from wopt.component import build
from wopt.host import host
from wopt.plan.candidates import rule_of
from wopt.plan.facts import Facts
from wopt.plan.plan import Plan, plan

__all__ = ["alternatives"]

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
