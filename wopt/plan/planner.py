"""A plan: the options that rules choose, the reasons, and their merge with the options given."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from wopt.plan.facts import Facts
from wopt.plan.rule import PlanRule
from wopt.plan.rules import RULES

__all__ = ["Plan", "apply", "plan"]

Table = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The options chosen for a problem.

    Attributes:
        table: Options as in a configuration file.
        reasons: One clause per rule that gives a reason.
        seconds: Expected CPU seconds of training at most.
        facts: The facts from which the options were chosen.
    """

    table: dict[str, Any]
    reasons: tuple[str, ...]
    seconds: float
    facts: Facts

    @property
    def summary(self) -> str:
        """The plan in one line."""
        return f"planned for {self.seconds:.0f} CPU s: {'; '.join(self.reasons)}"


def plan(facts: Facts, recipe: PlanRule | None = None) -> Plan:
    """Return the options that the rules choose; where two choose one option, the later one wins.

    A given recipe replaces the recipes that the facts would choose. Until the speed of an iteration
    is measured (:func:`wopt.plan.timed`), ``solver.iterations`` is a guess.

    Args:
        facts: Facts of the data.
        recipe: A recipe among the rules.

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
    """Return a configuration: the options given, and the planned ones where none are given.

    If another block is given than was planned, only those options of the solver are planned that
    suit every block, and the block keeps its defaults.

    Args:
        chosen: The plan.
        given: Options as read from TOML; they always win.

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
    """Return a plan of blocks by step in which the given block, or blocks, has its place."""
    if "blocks" in given:
        planned["stop"]["steps"] = len(given["blocks"])
        planned["solver"].pop("by_step")
    elif "block" in given:
        planned["blocks"][1:] = [given["block"]]
    return planned


_ANY_BLOCK = ("name", "iterations", "batch_size", "ema", "check_every", "check_rows",
              "patience", "warm_start")  # fmt: skip
"""Options of the solver that are planned for blocks other than the planned one."""

_STEP_OF_OTHERS = 8.0
"""h where another block is given than was planned."""


def _named(value: Any) -> dict[str, Any]:
    """Return a component's table, also for a bare name or an instance."""
    if isinstance(value, Mapping):
        return dict(value)
    return {"name": value if isinstance(value, str) else type(value).__name__}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables merged; ``above`` wins, another component's name replaces its table."""
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
