"""The planner: a few rules choose the options that are not given, from facts of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.plan.budget import Planning, seconds_of
    from wopt.plan.candidates import alternatives
    from wopt.plan.facts import Facts, facts_of
    from wopt.plan.planner import Plan, apply, plan
    from wopt.plan.preprocess import bends, preprocess_of, without_curves
    from wopt.plan.rule import PlanRule
    from wopt.plan.selection import choose
    from wopt.plan.speed import IterationTimer, Speed, first_of, measure, speed_class, timed

__all__ = [
    "Facts",
    "IterationTimer",
    "Plan",
    "PlanRule",
    "Planning",
    "Speed",
    "alternatives",
    "apply",
    "bends",
    "choose",
    "facts_of",
    "first_of",
    "measure",
    "plan",
    "preprocess_of",
    "seconds_of",
    "speed_class",
    "timed",
    "without_curves",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Facts": "wopt.plan.facts",
        "IterationTimer": "wopt.plan.speed",
        "Plan": "wopt.plan.planner",
        "PlanRule": "wopt.plan.rule",
        "Planning": "wopt.plan.budget",
        "Speed": "wopt.plan.speed",
        "alternatives": "wopt.plan.candidates",
        "apply": "wopt.plan.planner",
        "bends": "wopt.plan.preprocess",
        "choose": "wopt.plan.selection",
        "facts_of": "wopt.plan.facts",
        "first_of": "wopt.plan.speed",
        "measure": "wopt.plan.speed",
        "plan": "wopt.plan.planner",
        "preprocess_of": "wopt.plan.preprocess",
        "seconds_of": "wopt.plan.budget",
        "speed_class": "wopt.plan.speed",
        "timed": "wopt.plan.speed",
        "without_curves": "wopt.plan.preprocess",
    },
)
