"""A plan: the options that rules choose, why, and how they join those that are given."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from wopt.plan.facts import Facts
from wopt.plan.rule import Rule
from wopt.plan.rules import RULES

__all__ = ["Plan", "apply", "plan"]

Table = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was chosen for a problem.

    Attributes:
        table: Options as in a configuration file.
        reasons: Why, a clause for every rule that spoke.
        seconds: CPU seconds of training that are expected at most.
        facts: What it was chosen from.
    """

    table: dict[str, Any]
    reasons: tuple[str, ...]
    seconds: float
    facts: Facts

    @property
    def told(self) -> str:
        """The plan in a line."""
        return f"planned for {self.seconds:.0f} CPU s: {'; '.join(self.reasons)}"


def plan(facts: Facts, recipe: Rule | None = None) -> Plan:
    """Return the options that the rules choose; where two speak of one option, the later one.

    A recipe that is given takes the place of those that the facts would choose.

    Until the speed of an iteration is measured (:func:`wopt.plan.timed`), ``solver.iterations`` is
    a guess.

    Args:
        facts: Of the data.
        recipe: One of the rules.

    Example:
        >>> chosen = plan(Facts(rows=15_216, held_out=1_902, columns=10, crowding=0.57))
        >>> chosen.table["block"]["name"], chosen.table["scheme"]["step_size"]
        ('autoregressive', 100.0)
        >>> chosen.table["block"]["transforms"]
        4
    """
    table: dict[str, Any] = {}
    reasons: list[str] = []
    for rule in (*RULES, *([] if recipe is None or recipe in RULES else [recipe])):
        if rule is recipe or (rule.speaks(facts) and not (recipe and rule.recipe)):
            table = _merged(table, rule.chosen(facts))
            reasons += [rule.reason(facts)] if rule.reason(facts) else []
    return Plan(table, tuple(reasons), facts.budget, facts)


def apply(chosen: Plan, given: Table) -> dict[str, Any]:
    """Return a configuration: what is given, and what was planned where nothing is.

    Options of another component than was planned for are not planned: who names a block gets its
    defaults, and of the solver what suits every block.

    Args:
        chosen: The plan.
        given: As read from TOML; it always wins.

    Example:
        >>> facts = Facts(rows=15_216, held_out=1_902, columns=10)
        >>> table = apply(plan(facts), {"source": "toy", "block": {"transforms": 2}})
        >>> table["block"]["name"], table["block"]["transforms"], table["stop"]
        ('autoregressive', 2, {'steps': 1})
        >>> apply(plan(facts), {"block": "ode"})["block"]
        {'name': 'ode'}
    """
    planned = copy.deepcopy(chosen.table)
    if "blocks" in planned:
        return _merged(_after_first(planned, given), given)
    theirs = _named(given.get("block", {})).get("name")
    if theirs not in (None, planned.get("block", {}).get("name")):
        planned["solver"] = {k: v for k, v in planned.get("solver", {}).items() if k in _ANY_BLOCK}
        if "scheme" in planned:
            planned["scheme"]["step_size"] = _STEP_OF_OTHERS
    return _merged(planned, given)


def _after_first(planned: dict[str, Any], given: Table) -> dict[str, Any]:
    """Return a plan of blocks by step that a given block, or blocks, has a place in."""
    if "blocks" in given:
        planned["stop"]["steps"] = len(given["blocks"])
        planned["solver"].pop("by_step")
    elif "block" in given:
        planned["blocks"][1:] = [given["block"]]
    return planned


_ANY_BLOCK = ("optimiser", "iterations", "batch_size", "ema", "check_every", "check_rows",
              "patience", "warm_start")  # fmt: skip
"""What of the solver is planned for blocks that the planner was not measured with."""

_STEP_OF_OTHERS = 8.0
"""h where the block is another: `ode` on MAGIC, 34 CPU s: one step of h = 8 4.241, two 4.444."""


def _named(value: Any) -> dict[str, Any]:
    """Return a component's table; a bare name is one, and an instance stands for itself."""
    if isinstance(value, Mapping):
        return dict(value)
    return {"name": value if isinstance(value, str) else type(value).__name__}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both; ``above`` wins, and a component of another name replaces the whole table."""
    merged = dict(below)
    for key, value in above.items():
        current = merged.get(key)
        if not isinstance(current, Mapping) or not isinstance(value, (Mapping, str)):
            merged[key] = dict(value) if isinstance(value, Mapping) else value
            continue
        theirs = _named(value)
        other = theirs.get("name", current.get("name")) != current.get("name")
        merged[key] = theirs if other else _merged(current, theirs)
    return merged
