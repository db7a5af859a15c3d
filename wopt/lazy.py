"""Public names that are imported when first used (PEP 562)."""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def exports(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__`` for the names that it is to have.

    They are those that its file imports below ``if TYPE_CHECKING:``, each from its module.

    Example:
        >>> import wopt.config
        >>> get, listing = exports("wopt.config", wopt.config.__file__)
        >>> get("validate").__module__, listing()
        ('wopt.config.model', ['RunConfig', 'override', 'read_toml', 'validate'])
    """

    @functools.cache
    def modules() -> dict[str, str]:
        tree = ast.parse(Path(file).read_bytes())
        blocks = [node.body for node in tree.body if isinstance(node, ast.If)]
        found = [node for block in blocks for node in block if isinstance(node, ast.ImportFrom)]
        return {name.name: str(node.module) for node in found for name in node.names}

    def get(name: str) -> Any:
        if name == "__all__":  # so that ``from package import *`` finds them
            return sorted(modules())
        if name not in modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules()[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(modules())
