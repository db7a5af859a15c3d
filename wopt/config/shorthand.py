"""Shorthands of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wopt.component import build
from wopt.errors import ConfigError, UserError

__all__ = ["written_out"]


def written_out(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with shorthands written out.

    ``[target]`` is the target of the objective ``kl``, and ``python = "FILE.py:FUNCTION"`` in it is
    the target ``python`` with that ``log_prob``. A target whose dimension is known, by ``dim``,
    ``names`` or itself, is reached from N(0, I) if there is no ``[source]``.

    Args:
        table: Table as read from TOML.

    Raises:
        ConfigError: The target is given twice.

    Example:
        >>> full = written_out({"target": {"python": "my_model.py:log_prob", "dim": 3}})
        >>> full["objective"]["target"]
        {'name': 'python', 'log_prob': 'my_model.py:log_prob', 'dim': 3}
        >>> full["source"]
        {'name': 'gaussian', 'dim': 3}
        >>> written_out({"target": {"name": "circle"}})["source"]["dim"]
        2
    """
    full = dict(table)
    if "target" in full:
        full["objective"] = _with_target(full.get("objective", "kl"), full.pop("target"))
    objective = full.get("objective")
    target = objective.get("target") if isinstance(objective, Mapping) else None
    if "source" not in full and target is not None:
        dim = _dim_of(target)
        if isinstance(dim, int):
            full["source"] = {"name": "gaussian", "dim": dim}
    return full


def _dim_of(target: Any) -> Any:
    """Return the dimension of a target, ``None`` if it is unknown."""
    if isinstance(target, Mapping):
        given = target.get("dim", len(target.get("names") or ()) or None)
        if given is not None:
            return given
        try:
            target = build("target", target)
        except UserError:  # validation reports it, with its place
            return None
    return getattr(target, "dim", None)


def _with_target(objective: Any, target: Any) -> dict[str, Any]:
    table = {"name": objective} if isinstance(objective, str) else dict(objective)
    if "target" in table:
        raise ConfigError("the target is given twice: in [target] and in [objective.target]")
    if isinstance(target, Mapping) and "python" in target:
        rest = {key: value for key, value in target.items() if key != "python"}
        target = {"name": "python", "log_prob": target["python"], **rest}
    return {**table, "target": target}
