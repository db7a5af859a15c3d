"""Training: the inner solver, the guard, the stop rules and the outer loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.train.arc import respace
    from wopt.train.guard import INVERTED
    from wopt.train.optimisers import adam_and_muon
    from wopt.train.problem import ParticleHistory, Problem, State
    from wopt.train.record import StepRecord
    from wopt.train.solver import InnerSolver
    from wopt.train.stage import Stage
    from wopt.train.stop import elapsed, is_at
    from wopt.train.wrappers import remembering, spread

__all__ = [
    "INVERTED",
    "InnerSolver",
    "ParticleHistory",
    "Problem",
    "Stage",
    "State",
    "StepRecord",
    "adam_and_muon",
    "elapsed",
    "is_at",
    "remembering",
    "respace",
    "spread",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "INVERTED": "wopt.train.guard",
        "InnerSolver": "wopt.train.solver",
        "ParticleHistory": "wopt.train.problem",
        "Problem": "wopt.train.problem",
        "Stage": "wopt.train.stage",
        "State": "wopt.train.problem",
        "StepRecord": "wopt.train.record",
        "adam_and_muon": "wopt.train.optimisers",
        "elapsed": "wopt.train.stop",
        "is_at": "wopt.train.stop",
        "remembering": "wopt.train.wrappers",
        "respace": "wopt.train.arc",
        "spread": "wopt.train.wrappers",
    },
)
