"""A user's log-density, checked; adapters of other languages come from plugins."""

from __future__ import annotations

from typing import Any

from wopt.host import host

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    """Return an adapter of a plugin, such as ``from_pyro`` of wopt-posterior."""
    found = None if name.startswith("_") else host().registry.public(name)
    if found is None:
        raise AttributeError(f"module 'wopt.targets' has no attribute {name!r}")
    return found
