"""The rules for posteriors: a start of known density is carried to a target known by its potential.

Figures are explained in docs/posteriors.md: one thread, seed 0.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from wopt.plan import Plan

__all__ = ["FREE", "Posterior", "plan_of_posterior"]


@dataclasses.dataclass(frozen=True)
class Posterior:
    """What a sampler's plan depends on.

    Attributes:
        columns: Number of coordinates.
        budget: CPU seconds.
        mode_separation: Estimated fraction of the target's mass outside its largest mode; 0 where
            not measured.

    Example:
        >>> Posterior(10).budget
        60.0
    """

    columns: int
    budget: float = 60.0
    mode_separation: float = 0.0


FREE = 1e12
"""h of a step whose transport costs nothing, whatever the units of the target."""

_MAP = {"name": "autoregressive", "hidden": [64, 64], "transforms": 3, "whiten": True}

_AFFINE = {"name": "affine", "symmetric": True}

_PARTS = 0.03
"""Fraction of chains outside the largest mode above which a target counts as multimodal."""


def _start(facts: Posterior) -> dict[str, Any]:
    rows = min(max(500, 20 * facts.columns), max(4000, 4 * facts.columns))
    return {
        "name": "gaussian",
        "n_train": rows,
        "n_valid": 4000,
        "n_test": 2000,
        "matched": True,
    }


_SOLVER = {
    "name": "muon",
    "iterations": 400,
    "batch_size": 500,
    "fresh": True,
    "warm_start": False,
    "check_every": 100_000,
    "weights": 0.985,
    "rounds": 3,
    "chains": 1000,
    "grow": 2.0,
    "by_step": [{"name": "gaussian"}, {}],
}
"""One map, trained in rounds: what is frozen too early stays."""


def plan_of_posterior(facts: Posterior) -> Plan:
    """Return the plan for a posterior; :mod:`wopt_posterior.plan.rounds` sets its iterations.

    A Gaussian comes first, by a step so long that its transport costs nothing; then one map. Where
    modes are apart, the map is trained by the likelihood of chains alone.

    Args:
        facts: Coordinates, budget and modes.

    Example:
        >>> plan = plan_of_posterior(Posterior(10))
        >>> [block["name"] for block in plan.table["blocks"]], plan.table["dtype"]
        (['affine', 'autoregressive'], 'float64')
    """
    apart = facts.mode_separation > _PARTS
    table = {
        "source": _start(facts),
        "scheme": {"name": "jko", "step_size": FREE},
        "blocks": [_AFFINE, {**_MAP, "sees": "images"} if apart else _MAP],
        "solver": {**_SOLVER, "direction": "forward"} if apart else dict(_SOLVER),
        "guard": {"retries": 1, "keep": True},
        "stop": {"steps": 2, "weights": 0.99},
        "dtype": "float64",
    }
    reasons = (
        "a Gaussian by L-BFGS",
        "then an autoregressive map on fresh draws until its weights are even",
        "trained by the likelihood of chains alone, since the target has modes apart",
    )
    return Plan(table, reasons if apart else reasons[:2], facts)
