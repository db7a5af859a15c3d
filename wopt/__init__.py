"""wopt: optimisation over probability measures, in Wasserstein space, on flow networks.

Names are imported when first used, so that ``import wopt``, as in plugins' hooks modules, is fast.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from wopt.lazy import exports

# OpenMP's threads otherwise spin while they wait for one that has no processor. OpenMP reads this
# once, when torch is imported, and no module of wopt imports torch before this one is executed.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_BY_PLUGINS = ("FlowClassifier", "FlowDensity", "FlowRegressor", "Posterior", "sample")
"""Names provided by plugins (wopt-sklearn, wopt-posterior)."""

if TYPE_CHECKING:
    from wopt.bijection import Bijection as Bijection
    from wopt.capabilities import Capability as Capability
    from wopt.component import Component as Component
    from wopt.component import build as build
    from wopt.component import config_of as config_of
    from wopt.component import named as named
    from wopt.config.model import RunConfig as RunConfig
    from wopt.data.dataset import Dataset as Dataset
    from wopt.data.transform import AffineTransform as AffineTransform
    from wopt.errors import CapabilityError as CapabilityError
    from wopt.errors import ConfigError as ConfigError
    from wopt.errors import DataError as DataError
    from wopt.errors import DivergenceError as DivergenceError
    from wopt.errors import PluginError as PluginError
    from wopt.errors import RunError as RunError
    from wopt.errors import UserError as UserError
    from wopt.errors import WoptError as WoptError
    from wopt.flow import Chain as Chain
    from wopt.flow import Flow as Flow
    from wopt.flow import Inverse as Inverse
    from wopt.host import register as register
    from wopt.interfaces.block import FlowBlock as FlowBlock
    from wopt.interfaces.budget import Budget as Budget
    from wopt.interfaces.candidate import Candidate as Candidate
    from wopt.interfaces.listener import Listener as Listener
    from wopt.interfaces.measurement import FinishedRun as FinishedRun
    from wopt.interfaces.measurement import Measurement as Measurement
    from wopt.interfaces.objective import Objective as Objective
    from wopt.interfaces.objective import Sum as Sum
    from wopt.interfaces.scheme import History as History
    from wopt.interfaces.scheme import ProximalScheme as ProximalScheme
    from wopt.interfaces.scheme import StepSize as StepSize
    from wopt.interfaces.scheme import StepSizeOption as StepSizeOption
    from wopt.interfaces.solver import Solver as Solver
    from wopt.interfaces.solver import SolveReport as SolveReport
    from wopt.interfaces.solver import Training as Training
    from wopt.interfaces.source import Source as Source
    from wopt.interfaces.subproblem import Subproblem as Subproblem
    from wopt.interfaces.target import Law as Law
    from wopt.interfaces.target import Target as Target
    from wopt.interfaces.tracker import Tracker as Tracker
    from wopt.particles import Particles as Particles
    from wopt.permission import allow_changed_data as allow_changed_data
    from wopt.permission import allow_code as allow_code
    from wopt.permission import allow_tracker as allow_tracker
    from wopt.plugin import hookimpl as hookimpl
    from wopt.runs.loading import load as load
    from wopt.runs.solution import Solution as Solution
    from wopt.runs.solve import fit as fit
    from wopt.runs.solve import run as run
    from wopt.runs.solve import solve as solve
    from wopt.train.guard import Guard as Guard
    from wopt.train.problem import Problem as Problem
    from wopt.train.problem import State as State
    from wopt.train.record import StepRecord as StepRecord
    from wopt.train.solver import InnerSolver as InnerSolver
    from wopt.train.steps import iterate as iterate
    from wopt.train.stop import Stop as Stop
    from wopt.typed import Typed as Typed

_get, _names = exports(__name__, __file__)

__all__ = sorted([*_names(), "Posterior", "sample"])


def __dir__() -> list[str]:
    return sorted([*_names(), *_BY_PLUGINS])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("wopt-core")
    if name == "Need":
        import warnings

        warnings.warn("wopt.Need is now wopt.Capability", DeprecationWarning, stacklevel=2)
        name = "Capability"
    if name in _BY_PLUGINS:
        from wopt.distributions import how_to_get
        from wopt.host import host

        found = host().registry.public(name)
        if found is None:
            why = how_to_get("name", name) or "no plugin brings it"
            raise AttributeError(f"module 'wopt' has no attribute {name!r} here: {why}")
        return found
    return _get(name)
