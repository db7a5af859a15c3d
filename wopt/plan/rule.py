"""A rule of the planner, the kinds of problems it tells apart, and sizes derived from facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from wopt.plan.facts import Facts, noise_of_plane

__all__ = [
    "JUDGES",
    "SHORT",
    "WIDE",
    "PlanRule",
    "blur",
    "data",
    "decay",
    "few_rows",
    "many_rows",
    "of_plane",
    "of_wide",
    "passes",
    "plane",
    "shrinking",
    "smoothing",
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


_EDGES = 0.05
"""Nats that noise of 0.2 may cost the columns; see docs/benchmarks.md."""

_BLURRED = 0.008
"""Nats that noise may cost a plane; see docs/benchmarks.md."""

SHORT = 30.0
"""Budget in CPU seconds under which nets of the plane are narrow."""

LONG = 150
"""Budget in CPU seconds from which on nets of a plane with many rows have one more layer."""


def decay(facts: Facts) -> float:
    """Return the weight decay: 0.5 at 15,000 rows, falling with their cube root, within 0.1 to 1.

    Under Muon, whose steps have the length of the rate, it bounds a matrix's norm by its inverse.

    Example:
        >>> decay(Facts(15_216, 1902, 10)), decay(Facts(1218, 152, 43)), decay(Facts(48_000, 1, 63))
        (0.5, 1.0, 0.34)
    """
    return min(1.0, max(0.1, round(0.5 * (15_216 / facts.rows) ** (1 / 3), 2)))


def blur(facts: Facts, scale: float) -> float:
    """Return the noise in standard deviations: the scale up to 6,000 rows, then less.

    It falls with the fourth root of the rows. It is 0 where some column has few values: noise would
    blur spikes that a likelihood rewards.

    Example:
        >>> blur(Facts(300, 30, 5), 0.2), blur(Facts(16_000, 2000, 5), 0.2)
        (0.2, 0.157)
    """
    if facts.discrete:
        return 0.0
    return round(scale * min(1.0, (6000 / facts.rows) ** 0.25), 3)


def smoothing(facts: Facts) -> float:
    """Return the noise for rows as spread out as a Gaussian's: 0.2, less if columns have edges.

    Example:
        >>> [smoothing(Facts(n, 500, 3, edges=0.1)) for n in (2000, 6000)]
        [0.05, 0.0]
    """
    if facts.edges < _EDGES:
        return blur(facts, 0.2)
    return blur(facts, 0.05) if facts.small else 0.0


def shrinking(facts: Facts) -> float:
    """Return the noise where rows are too few for their covariance: 0.8 sqrt(d/n) in [0.1, 0.4].

    It is near the relative error of the covariance's eigenvalues.

    Example:
        >>> [shrinking(Facts(*rows)) for rows in ((120, 15, 13), (240, 30, 8), (2000, 9, 9))]
        [0.263, 0.146, 0.1]
    """
    least = blur(facts, 0.1)
    return least and max(least, min(0.4, round(0.8 * (facts.columns / facts.rows) ** 0.5, 3)))


def passes(facts: Facts) -> int:
    """Return the most iterations that few rows can use: 500, and 120 passes over the rows.

    Example:
        >>> passes(Facts(1218, 152, 43)), passes(Facts(15_216, 1902, 10))
        (1070, 4151)
    """
    return 500 + 120 * facts.rows // (256 if facts.small else 500)


def of_plane(facts: Facts) -> dict[str, Any]:
    """Return the options for a plane: bins and nets by the number of rows and the budget.

    Few rows get noise (:func:`noise_of_plane`), unless it would blur them.
    """
    rows = facts.rows
    few, many = rows < 8000, rows >= 50_000
    long = many and facts.budget >= LONG
    block = {
        "univariate": "spline",
        "transforms": 3,
        "bins": 16 if few else 48 if many else 32,
        "hidden": [64, 64] if few or facts.budget < SHORT else [128] * (3 if long else 2),
        "activation": "relu",
        "residual": False,
    }
    solver = {"learning_rate": 3e-3, "weight_decay": 0.2 if few else 0.0 if many else 0.1}
    noise = noise_of_plane(rows)
    if noise and facts.blurring < _BLURRED and not facts.discrete:
        solver["noise"] = noise
    return {"block": block, "solver": solver}


def of_wide(facts: Facts) -> dict[str, Any]:
    """Return the options for many columns, by the budget."""
    width = 96 if facts.budget < 30 else 160 if facts.budget < 150 else 224
    splines = 2 if facts.budget < 150 else 3
    block = {
        "univariate": ["affine"] * (6 - splines) + ["affine_spline"] * splines,
        "transforms": 6,
        "bins": 3,
        "hidden": [width] * 2,
    }
    return {"block": block, "solver": {"weight_decay": 0.3}}


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
