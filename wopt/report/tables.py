"""The status and settings of a report, arranged for the page."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from wopt.report.read import Run

__all__ = ["Section", "Status", "flat", "settings", "status", "subtitle"]


@dataclasses.dataclass(frozen=True)
class Status:
    """The badge: a word, its kind (``done``, ``stopped``, ``failed``, ``open``) and the reason."""

    word: str
    kind: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A table of the settings: a name, and rows of key and value."""

    name: str
    rows: list[tuple[str, str]]


def status(run: Run) -> Status:
    """Return the badge of a run."""
    if run.result is None:
        last = run.steps[-1].step if run.steps else 0
        return Status(
            "unfinished",
            "open",
            f"There is no result.json: the run was interrupted after step {last}, or still goes "
            "on. `wopt resume` continues it.",
        )
    word = run.result.status
    kind = word if word in ("done", "stopped", "failed") else "open"
    return Status(word, kind, run.result.reason)


def subtitle(run: Run) -> str:
    """Return a line on the run: source, objective, target, scheme, block."""
    objective = run.config.get("objective")
    target = objective.get("target") if isinstance(objective, dict) else None
    parts = [
        ("source", _name(run.config.get("source"))),
        ("objective", _name(objective)),
        ("target", _name(target)),
        ("scheme", _name(run.config.get("scheme"))),
        ("block", _name(run.config.get("block"))),
    ]
    return " · ".join(f"{kind} {name}" for kind, name in parts if name)


def settings(run: Run) -> list[Section]:
    """Return the resolved configuration as tables, without versions, which are shown apart."""
    tables = {k: v for k, v in run.config.items() if isinstance(v, dict) and k != "versions"}
    plain = {k: v for k, v in run.config.items() if not isinstance(v, dict)}
    sections = [Section("run", flat(plain))] if plain else []
    return sections + [Section(name, flat(table)) for name, table in tables.items()]


def flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return rows of dotted key and value.

    Example:
        >>> flat({"name": "kl", "target": {"name": "gaussian", "scale": 1.0}})
        [('name', 'kl'), ('target.name', 'gaussian'), ('target.scale', '1.0')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            rows.append((prefix + key, value))
        else:
            rows.append((prefix + key, json.dumps(value, default=str, ensure_ascii=False)))
    return rows


def _name(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else ""
