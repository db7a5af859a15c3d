"""Tables of options: that of a component, and two of them merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table_of(value: Any) -> dict[str, Any]:
    """Return a component's table, also for a bare name or an instance."""
    if isinstance(value, Mapping):
        return dict(value)
    return {"name": value if isinstance(value, str) else type(value).__name__}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables merged; ``above`` wins, another component's name replaces its table.

    Example:
        >>> below = {"block": {"name": "ode", "width": 8}, "stop": {"steps": 2}}
        >>> merged(below, {"block": "affine", "stop": {"steps": 3}})
        {'block': {'name': 'affine'}, 'stop': {'steps': 3}}
    """
    table = dict(below)
    for key, value in above.items():
        current = table.get(key)
        if not isinstance(current, Mapping) or not isinstance(value, (Mapping, str)):
            table[key] = dict(value) if isinstance(value, Mapping) else value
            continue
        theirs = table_of(value)
        other = theirs.get("name", current.get("name")) != current.get("name")
        table[key] = theirs if other else merged(current, theirs)
    return table
