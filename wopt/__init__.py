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
    from wopt.bijection import Bijection
    from wopt.capabilities import Capability
    from wopt.component import Component, build, config_of, named
    from wopt.config.model import RunConfig
    from wopt.data.dataset import Dataset
    from wopt.data.transform import AffineTransform
    from wopt.errors import (
        CapabilityError,
        ConfigError,
        DataError,
        DivergenceError,
        PluginError,
        RunError,
        UserError,
        WoptError,
    )
    from wopt.flow import Chain, Flow, Inverse
    from wopt.host import register
    from wopt.interfaces.block import FlowBlock
    from wopt.interfaces.budget import Budget
    from wopt.interfaces.candidate import Candidate
    from wopt.interfaces.listener import Listener
    from wopt.interfaces.measurement import FinishedRun, Measurement
    from wopt.interfaces.objective import Objective, Sum
    from wopt.interfaces.scheme import History, ProximalScheme, StepSize, StepSizeOption
    from wopt.interfaces.solver import Solver, SolveReport, Training
    from wopt.interfaces.source import Source
    from wopt.interfaces.subproblem import Subproblem
    from wopt.interfaces.target import Law, Target
    from wopt.interfaces.tracker import Tracker
    from wopt.particles import Particles
    from wopt.permission import allow_changed_data, allow_code, allow_tracker
    from wopt.plugin import hookimpl
    from wopt.runs.loading import load
    from wopt.runs.solution import Solution
    from wopt.runs.solve import fit, run, solve
    from wopt.train.guard import Guard
    from wopt.train.problem import Problem, State
    from wopt.train.record import StepRecord
    from wopt.train.solver import InnerSolver
    from wopt.train.steps import iterate
    from wopt.train.stop import Stop
    from wopt.typed import Typed

__all__ = [
    "AffineTransform",
    "Bijection",
    "Budget",
    "Candidate",
    "Capability",
    "CapabilityError",
    "Chain",
    "Component",
    "ConfigError",
    "DataError",
    "Dataset",
    "DivergenceError",
    "FinishedRun",
    "Flow",
    "FlowBlock",
    "Guard",
    "History",
    "InnerSolver",
    "Inverse",
    "Law",
    "Listener",
    "Measurement",
    "Objective",
    "Particles",
    "PluginError",
    "Posterior",
    "Problem",
    "ProximalScheme",
    "RunConfig",
    "RunError",
    "Solution",
    "SolveReport",
    "Solver",
    "Source",
    "State",
    "StepRecord",
    "StepSize",
    "StepSizeOption",
    "Stop",
    "Subproblem",
    "Sum",
    "Target",
    "Tracker",
    "Training",
    "Typed",
    "UserError",
    "WoptError",
    "allow_changed_data",
    "allow_code",
    "allow_tracker",
    "build",
    "config_of",
    "fit",
    "hookimpl",
    "iterate",
    "load",
    "named",
    "register",
    "run",
    "sample",
    "solve",
]

_get, _names = exports(__name__, __file__)


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
