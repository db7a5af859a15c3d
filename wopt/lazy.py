"""Public names that are imported when first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["exports", "exports_of"]


def exports(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Args:
        package: ``__name__`` of the package.
        modules: Module of each public name.

    Example:
        >>> get, listing = exports("wopt", {"Particles": "wopt.particles"})
        >>> get("Particles").__module__, listing()
        ('wopt.particles', ['Particles'])
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(modules)


def exports_of(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return what :func:`exports` does, for a table of the names in each module.

    Args:
        package: ``__name__`` of the package.
        modules: Public names, separated by blanks, of each module.

    Example:
        >>> get, listing = exports_of("wopt", {"wopt.component": "build named"})
        >>> get("build").__name__, listing()
        ('build', ['build', 'named'])
    """
    names = {name: module for module, some in modules.items() for name in some.split()}
    return exports(package, names)
