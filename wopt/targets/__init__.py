"""A user's log-density, checked; adapters of other languages come from plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wopt.host import host
from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.targets.density import Density, one_value_a_point, users_log_density, validation
    from wopt.targets.tempered import TemperedTarget

__all__ = [
    "Density",
    "TemperedTarget",
    "one_value_a_point",
    "users_log_density",
    "validation",
]

_get, __dir__ = exports(
    __name__,
    {
        "Density": "wopt.targets.density",
        "TemperedTarget": "wopt.targets.tempered",
        "one_value_a_point": "wopt.targets.density",
        "users_log_density": "wopt.targets.density",
        "validation": "wopt.targets.density",
    },
)


def __getattr__(name: str) -> Any:
    """Return an adapter that a plugin brings, such as ``from_pyro`` of wopt-posterior."""
    found = None if name.startswith("_") else host().registry.public(name)
    return _get(name) if found is None else found
