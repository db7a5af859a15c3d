"""The planner: a few rules choose the options that are not given, from facts of the data."""

from wopt.plan.budget import seconds_of
from wopt.plan.candidates import alternatives
from wopt.plan.facts import Facts, facts_of
from wopt.plan.plan import Plan, apply, plan
from wopt.plan.preprocess import bends, preprocess_of, without_curves
from wopt.plan.selection import choose
from wopt.plan.speed import Speed, measure, timed

__all__ = [
    "Facts",
    "Plan",
    "Speed",
    "alternatives",
    "apply",
    "bends",
    "choose",
    "facts_of",
    "measure",
    "plan",
    "preprocess_of",
    "seconds_of",
    "timed",
    "without_curves",
]
