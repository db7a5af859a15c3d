"""wopt: optimisation over probability measures, in Wasserstein space, on flow networks.

Names are imported when first used, so that ``import wopt`` (which every plugin's hooks module
does) costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PLACES = {
    "AffineTransform": "wopt.data.transform",
    "CapabilityError": "wopt.errors",
    "Component": "wopt.component",
    "ConfigError": "wopt.errors",
    "DataError": "wopt.errors",
    "Dataset": "wopt.data.dataset",
    "DivergenceError": "wopt.errors",
    "FlowBlock": "wopt.interfaces.block",
    "History": "wopt.interfaces.scheme",
    "Need": "wopt.capabilities",
    "Objective": "wopt.interfaces.objective",
    "Particles": "wopt.particles",
    "PluginError": "wopt.errors",
    "ProximalScheme": "wopt.interfaces.scheme",
    "RunError": "wopt.errors",
    "Source": "wopt.interfaces.source",
    "StepSize": "wopt.interfaces.step_size",
    "Subproblem": "wopt.interfaces.scheme",
    "Sum": "wopt.interfaces.objective",
    "Target": "wopt.interfaces.target",
    "Tracker": "wopt.interfaces.tracker",
    "Transport": "wopt.interfaces.scheme",
    "UserError": "wopt.errors",
    "WoptError": "wopt.errors",
    "build": "wopt.component",
    "config_of": "wopt.component",
    "hookimpl": "wopt.plugin",
    "named": "wopt.component",
    "register": "wopt.host",
}

if TYPE_CHECKING:
    from wopt.capabilities import Need
    from wopt.component import Component, build, config_of, named
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
    from wopt.host import register
    from wopt.interfaces.block import FlowBlock
    from wopt.interfaces.objective import Objective, Sum
    from wopt.interfaces.scheme import History, ProximalScheme, Subproblem, Transport
    from wopt.interfaces.source import Source
    from wopt.interfaces.step_size import StepSize
    from wopt.interfaces.target import Target
    from wopt.interfaces.tracker import Tracker
    from wopt.particles import Particles
    from wopt.plugin import hookimpl

__all__ = [
    "AffineTransform",
    "CapabilityError",
    "Component",
    "ConfigError",
    "DataError",
    "Dataset",
    "DivergenceError",
    "FlowBlock",
    "History",
    "Need",
    "Objective",
    "Particles",
    "PluginError",
    "ProximalScheme",
    "RunError",
    "Source",
    "StepSize",
    "Subproblem",
    "Sum",
    "Target",
    "Tracker",
    "Transport",
    "UserError",
    "WoptError",
    "build",
    "config_of",
    "hookimpl",
    "named",
    "register",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        value = getattr(importlib.import_module(_PLACES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'wopt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
