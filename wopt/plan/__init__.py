"""The planner: candidates race for the options that are not given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.plan.budget import Planning as Planning
    from wopt.plan.budget import seconds_of as seconds_of
    from wopt.plan.facts import BUDGET as BUDGET
    from wopt.plan.facts import Facts as Facts
    from wopt.plan.facts import facts_of as facts_of
    from wopt.plan.planner import Plan as Plan
    from wopt.plan.planner import plan as plan
    from wopt.plan.planner import portfolio as portfolio
    from wopt.plan.trials import Outcome as Outcome
    from wopt.plan.trials import Trial as Trial
    from wopt.plan.trials import race as race

__getattr__, __dir__ = exports(__name__, __file__)
