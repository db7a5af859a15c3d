"""Training: the inner solver, the guard, the stop rules and the outer loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.train.arc import respace as respace
    from wopt.train.guard import INVERTED as INVERTED
    from wopt.train.lbfgs import minimise_by_lbfgs as minimise_by_lbfgs
    from wopt.train.optimisers import AdamOptimizer as AdamOptimizer
    from wopt.train.optimisers import adam_and_muon as adam_and_muon
    from wopt.train.problem import ParticleHistory as ParticleHistory
    from wopt.train.problem import Problem as Problem
    from wopt.train.problem import State as State
    from wopt.train.record import StepRecord as StepRecord
    from wopt.train.refine import REFINING as REFINING
    from wopt.train.solver import InnerSolver as InnerSolver
    from wopt.train.solver import minimise as minimise
    from wopt.train.solver import repeated as repeated
    from wopt.train.solvers import LBFGS as LBFGS
    from wopt.train.solvers import Adam as Adam
    from wopt.train.solvers import BySteps as BySteps
    from wopt.train.solvers import Clocked as Clocked
    from wopt.train.solvers import Muon as Muon
    from wopt.train.solvers import Repeated as Repeated
    from wopt.train.stage import Stage as Stage
    from wopt.train.stage import first_of as first_of
    from wopt.train.stop import elapsed as elapsed
    from wopt.train.stop import is_at as is_at
    from wopt.train.wrappers import remembering as remembering
    from wopt.train.wrappers import spread as spread

__getattr__, __dir__ = exports(__name__, __file__)
