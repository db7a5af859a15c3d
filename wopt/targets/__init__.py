"""Gaussian laws in closed form; adapters of other languages come from plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wopt.host import host
from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.targets.gaussian import gaussian_moments as gaussian_moments
    from wopt.targets.gaussian import jko_step as jko_step
    from wopt.targets.gaussian import moments as moments

_get, __dir__ = exports(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Return an adapter that a plugin brings, such as ``from_pyro`` of wopt-posterior."""
    found = None if name.startswith("_") else host().registry.public(name)
    return _get(name) if found is None else found
