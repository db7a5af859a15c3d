"""Kinds of problems that rules apply to."""

from __future__ import annotations

from wopt.plan.facts import Facts

__all__ = [
    "JUDGES",
    "WIDE",
    "data",
    "few_rows",
    "many_rows",
    "plane",
    "spread_rows",
    "tiny",
    "well_judged",
]

WIDE = 32
"""Number of columns beyond which splines take most of the time."""

JUDGES = 20_000
"""Number of held-out rows, and of test rows, that evaluate a model at most."""


def data(facts: Facts) -> bool:
    """Return whether the rows are data, not a start of known density."""
    return facts.kind != "density_known"


def well_judged(facts: Facts) -> bool:
    """Return whether more rows are held out than are needed to evaluate a model."""
    return facts.held_out > JUDGES


def tiny(facts: Facts) -> bool:
    """Return whether there are fewer than ten rows per column."""
    return data(facts) and facts.rows < 10 * facts.columns


def plane(facts: Facts) -> bool:
    """Return whether at most two columns are modelled, without conditions, from 300 rows on."""
    return data(facts) and facts.columns <= 2 and not facts.conditions and facts.rows >= 300


def few_rows(facts: Facts) -> bool:
    """Return whether rows are few, and neither :func:`plane` nor :func:`tiny` applies."""
    return data(facts) and facts.small and not plane(facts) and not tiny(facts)


def many_rows(facts: Facts) -> bool:
    """Return whether rows are many and :func:`plane` does not apply."""
    return data(facts) and not facts.small and not plane(facts)


def spread_rows(facts: Facts) -> bool:
    """Return whether a table has fewer than 50,000 rows, as spread out as a Gaussian's."""
    return many_rows(facts) and facts.smooth and facts.rows < 50_000 and facts.columns <= WIDE
