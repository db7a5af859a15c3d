"""Reading configurations: TOML files and ``--set`` overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wopt.errors import ConfigError

__all__ = ["override", "read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file.

    Raises:
        ConfigError: The file is missing or is no TOML; the message has the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = ", ".join(sorted(p.name for p in path.parent.glob("*.toml"))[:5])
        hint = f"; in {path.parent} there are: {near}" if near else ""
        raise ConfigError(
            f"{path}: no such file{hint}. `wopt init` writes a configuration to begin with"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None


def override(table: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return a copy with ``K=V`` settings applied; V is TOML, or else taken as text.

    Raises:
        ConfigError: A setting has no ``=``, or goes into something that is no table.

    Example:
        >>> override({"scheme": "jko"}, ["scheme.step_size=0.5", "block.name=ode"])
        {'scheme': {'name': 'jko', 'step_size': 0.5}, 'block': {'name': 'ode'}}
    """
    result = _copy(table)
    for setting in settings:
        key, equals, text = setting.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise ConfigError(
                f"--set {setting}: write KEY=VALUE, as in scheme.step_size=0.5 or scheme.name=bdf2"
            )
        parent = result
        for depth, part in enumerate(path[:-1]):
            inner = parent.setdefault(part, {})
            if isinstance(inner, str):  # a component given as a bare name becomes a table
                inner = parent[part] = {"name": inner}
            if not isinstance(inner, dict):
                raise ConfigError(
                    f"--set {setting}: {'.'.join(path[: depth + 1])} is {inner!r}, not a table"
                )
            parent = inner
        parent[path[-1]] = _value(text.strip())
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
