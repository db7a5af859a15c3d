"""The rules for posteriors: a start of known density is carried to a target known by its potential.

Figures are explained in docs/posteriors.md: one thread, seed 0.
"""

from __future__ import annotations

from typing import Any

from wopt.plan import Facts, Plan, PlanRule

__all__ = ["FREE", "POSTERIOR", "plan_of_posterior"]

FREE = 1e12
"""h of a step whose transport costs nothing, whatever the units of the target."""

_MAP = {"name": "autoregressive", "hidden": [64, 64], "transforms": 3, "whiten": True}

_AFFINE = {"name": "affine", "symmetric": True}

_PARTS = 0.03
"""Fraction of chains outside the largest mode above which a target counts as multimodal."""


def _start(facts: Facts) -> dict[str, Any]:
    rows = min(max(500, 20 * facts.columns), max(4000, 4 * facts.columns))
    return {
        "name": "gaussian",
        "n_train": rows,
        "n_valid": 4000,
        "n_test": 2000,
        "matched": True,
    }


POSTERIOR: tuple[PlanRule, ...] = (
    PlanRule(
        "a Gaussian first",
        "Centred eight schools, 500 iterations: means 0.6 deviations off without a Gaussian in "
        "front, 0.04 with it. kidscore_momiq: `ode` without options 2 deviations off, the Gaussian "
        "alone 0.05. Plain draws instead of matched ones leave an error of 1/sqrt(n) in what is "
        "affine. h = 100 would hold a mean that is 30 away back by 4.5 nats, so h is free.",
        lambda facts: {
            "source": _start(facts),
            "scheme": {"name": "jko", "step_size": FREE},
            "blocks": [_AFFINE, _MAP],
            "solver": {"by_step": [{"name": "gaussian"}, {}]},
            "guard": {"retries": 1, "keep": True},
            "stop": {"steps": 2, "weights": 0.99},
            "dtype": "float64",
        },
        "a Gaussian by L-BFGS",
    ),
    PlanRule(
        "one map, trained in rounds",
        "Centred eight schools, KL(q | p): 400 iterations 0.047; another map of 1,500 after it "
        "0.039; one map of 1,800 0.009; rounds of 400, 800 and 1,600 0.012, of 450 each 0.044 "
        "after two. Non-centred, rounds of 400 and 800: the worst deviation is 2 % off, after 400 "
        "alone 7 %. An average of 0.99 changed nothing. What is frozen too early stays.",
        {
            "solver": {
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
            },
        },
        "then an autoregressive map on fresh draws until its weights are even",
    ),
    PlanRule(
        "modes by the likelihood of chains",
        "Budget 20, seed 0, share of even weights and error of log Z: four modes in ten dimensions "
        "0.57 and -0.001 (by draws and chains together 0.54, a mode lost, -0.117), nine in the "
        "plane 0.91 and 0.0005 (0.21, 0.012), two moons 0.98 (0.84). Where nothing is apart draws "
        "are better: eight schools, centred, 0.44 by chains alone and 0.86, four arms 0.80 and "
        "0.93, arK 0.96 and 0.99. Budget 60: eight wells, d = 16, 0.39 (0.04); ten narrow modes "
        "in 20 dimensions lose two modes (nine).",
        {
            "blocks": [_AFFINE, {**_MAP, "sees": "images"}],
            "solver": {"direction": "forward"},
        },
        "trained by the likelihood of chains alone, since the target has modes apart",
        lambda facts: facts.mode_separation > _PARTS,
    ),
)
"""The rules for posteriors, in the order in which they apply."""


def plan_of_posterior(facts: Facts) -> Plan:
    """Return the plan for a posterior; :mod:`wopt_posterior.plan.rounds` sets its iterations.

    Args:
        facts: Facts of kind ``"posterior"``.

    Example:
        >>> plan = plan_of_posterior(Facts(rows=500, held_out=4000, columns=10, kind="posterior"))
        >>> [block["name"] for block in plan.table["blocks"]], plan.table["dtype"]
        (['affine', 'autoregressive'], 'float64')
    """
    table: dict[str, Any] = {}
    rules = [rule for rule in POSTERIOR if rule.speaks(facts)]
    for rule in rules:
        for key, options in rule.chosen(facts).items():
            same = isinstance(options, dict) and key in table
            table[key] = {**table[key], **options} if same else options
    return Plan(table, tuple(rule.reason(facts) for rule in rules), facts.budget, facts)
