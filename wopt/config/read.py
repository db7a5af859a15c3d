"""Reading configurations: TOML files and ``--set`` overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wopt.data.tables import READABLE
from wopt.errors import ConfigError
from wopt.reading import MOST_TEXT, parsed_toml, read_text


def read_toml(path: Path, *, own: bool = True) -> dict[str, Any]:
    """Return the table in a TOML file.

    Args:
        path: The file.
        own: Whether the user named the file; a file of a run directory must be a regular file.
    """
    try:
        return parsed_toml(_text(path) if own else read_text(path))
    except FileNotFoundError:
        near = ", ".join(sorted(p.name for p in path.parent.glob("*.toml"))[:5])
        hint = f"; in {path.parent} there are: {near}" if near else ""
        raise ConfigError(
            f"{path}: no such file{hint}. `wopt init` writes a configuration to begin with"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        also = "" if path.suffix == ".toml" else f" (a table is a file {', '.join(READABLE)})"
        raise ConfigError(f"{path}: is not valid TOML: {error}{also}") from None


def _text(path: Path) -> str:
    """Return the text, of limited length, of a file that may be a link."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ConfigError(f"{path}: is a pipe, a socket or a device; write it to a file first")
    with path.open("rb") as file:
        return file.read(MOST_TEXT).decode("utf-8")


def override(table: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return a copy with ``K=V`` settings applied; V is TOML, or else text.

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
        return parsed_toml(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
    except ValueError as error:
        raise ConfigError(f"--set {text[:40]} ...: {error}") from None
