"""Kinds of problems, which rules tell apart."""

from __future__ import annotations

from wopt.plan.facts import Facts

__all__ = ["JUDGES", "WIDE", "data", "few", "judged", "plane", "spread", "table", "tiny"]

WIDE = 32
"""Columns beyond which splines take most of the time."""

JUDGES = 20_000
"""Held-out, and test, rows that judge a model at most."""


def data(facts: Facts) -> bool:
    """Return whether rows are data, and no start of known density."""
    return facts.kind != "density_known"


def judged(facts: Facts) -> bool:
    """Return whether more rows are held out than it takes to judge a model."""
    return facts.held_out > JUDGES


def tiny(facts: Facts) -> bool:
    """Return whether there are hardly more rows than columns."""
    return data(facts) and facts.rows < 10 * facts.columns


def plane(facts: Facts) -> bool:
    """Return whether two columns at most are modelled, of rows enough."""
    return data(facts) and facts.columns <= 2 and not facts.conditions and facts.rows >= 300


def few(facts: Facts) -> bool:
    """Return whether rows are few, and neither in a plane nor hardly any."""
    return data(facts) and facts.small and not plane(facts) and not tiny(facts)


def table(facts: Facts) -> bool:
    """Return whether rows are many, and not in a plane."""
    return data(facts) and not facts.small and not plane(facts)


def spread(facts: Facts) -> bool:
    """Return whether rows are neither few nor very many, and as spread out as a Gaussian's."""
    return table(facts) and facts.smooth and facts.rows < 50_000 and facts.columns <= WIDE
