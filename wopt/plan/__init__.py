"""The planner: a few rules choose the options that are not given, from facts of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports_of

if TYPE_CHECKING:
    from wopt.plan.budget import Planning as Planning
    from wopt.plan.budget import seconds_of as seconds_of
    from wopt.plan.candidates import alternatives as alternatives
    from wopt.plan.facts import Facts as Facts
    from wopt.plan.facts import facts_of as facts_of
    from wopt.plan.planner import Plan as Plan
    from wopt.plan.planner import apply as apply
    from wopt.plan.planner import plan as plan
    from wopt.plan.preprocess import bends as bends
    from wopt.plan.preprocess import preprocess_of as preprocess_of
    from wopt.plan.preprocess import without_curves as without_curves
    from wopt.plan.rule import PlanRule as PlanRule
    from wopt.plan.selection import choose as choose
    from wopt.plan.speed import IterationTimer as IterationTimer
    from wopt.plan.speed import Speed as Speed
    from wopt.plan.speed import first_of as first_of
    from wopt.plan.speed import measure as measure
    from wopt.plan.speed import speed_class as speed_class
    from wopt.plan.speed import timed as timed

__getattr__, __dir__ = exports_of(
    __name__,
    {
        "wopt.plan.budget": "Planning seconds_of",
        "wopt.plan.candidates": "alternatives",
        "wopt.plan.facts": "Facts facts_of",
        "wopt.plan.planner": "Plan apply plan",
        "wopt.plan.preprocess": "bends preprocess_of without_curves",
        "wopt.plan.rule": "PlanRule",
        "wopt.plan.selection": "choose",
        "wopt.plan.speed": "IterationTimer Speed first_of measure speed_class timed",
    },
)
