"""A certificate on the terminal: a row a step, then what it says of the model."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["show"]


def show(found: dict[str, Any], console: Console | None = None) -> None:
    """Print a certificate as ``certificate.json`` holds it."""
    to = console or Console(highlight=False)
    known = "kl" if "kl" in found["final"] else "gap"
    table = Table(title=f"certificate: bounds of {found['of']}", title_justify="left")
    for name in (
        "step",
        "true",
        "eps (estimate)",
        "movement/h",
        "best bound",
        "by",
        "paper's bound",
    ):
        table.add_column(name, justify="left" if name == "by" else "right")
    for step in found["steps"]:
        name, best = _best(step["bounds"][known])
        table.add_row(
            str(step["step"]),
            _interval(step[known]),
            _interval(step["residual"]),
            _number(step["movement"]["value"] / step["effective_step_size"]),
            _number(best),
            name,
            _number(step["bounds"][known].get("paper", {}).get("value")),
        )
    to.print(table)
    statement, trips = found["statement"], found["round_trip"]
    if trips is not None:
        noise = trips["noise"]
        to.print(
            f"round trips (rms, estimates): data {_number(trips['data']['value'])}"
            + (f", noise {_number(noise['value'])}" if noise else "")
        )
    if statement is not None:
        to.print(f"[bold]{statement['text']}[/] ({statement['label']})")
    if plan := found["final"].get("steps_needed"):
        to.print(f"from here on: {plan['text']} ({plan['label']})")
    for note in found["notes"]:
        to.print(note, style="dim", markup=False)


def _best(entries: dict[str, Any]) -> tuple[str, float | None]:
    values = {k: e["value"] for k, e in entries.items() if e["value"] is not None}
    name = min(values, key=lambda k: values[k], default="")
    return name, values.get(name)


def _interval(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    return f"{_number(found['value'])} [{_number(found['low'])}, {_number(found['high'])}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
