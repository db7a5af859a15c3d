"""Densities given by a person, checked; models of other languages are brought by plugins."""

from __future__ import annotations

from typing import Any

from wopt.host import host

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    """Return an adapter that a plugin brings, such as ``from_pyro`` of wopt-posterior."""
    found = None if name.startswith("_") else host().registry.public(name)
    if found is None:
        raise AttributeError(f"module 'wopt.targets' has no attribute {name!r}")
    return found
