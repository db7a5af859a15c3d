"""What is compared: ways to spend the same seconds on one step or on several."""

from __future__ import annotations

import copy
import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from laws import LAWS, source_of

__all__ = ["DATA", "Arm", "arms", "base", "maps"]

Table = dict[str, Any]

LIKELIHOOD = Path(__file__).parents[1] / "likelihood"

DATA: dict[str, Table] = {
    "rose": {"toml": "rose", "budget": 12.0},
    "magic": {"toml": "magic", "budget": 20.0},
    "magic300": {"toml": "magic", "budget": 6.0, "rows": 300},
    "magic1000": {"toml": "magic", "budget": 10.0, "rows": 1000},
    "miniboone": {"toml": "miniboone", "budget": 9.0},
    "patches": {"toml": "patches", "budget": 40.0},
    **{name: {"toml": like, "budget": 10.0} for name, (_, _, like) in LAWS.items()},
}
"""Data by name: the settings in ``likelihood/`` that they start from, CPU seconds, rows."""

_ODE: dict[str, Table] = {
    "rose": {"width": 128, "activation": "silu", "sharpness": 20.0, "steps": 4},
    "magic": {"width": 192, "activation": "softplus", "sharpness": 6.0, "steps": 2},
    "miniboone": {"width": 96, "activation": "softplus", "sharpness": 3.0, "steps": 2},
    "patches": {"width": 256, "activation": "softplus", "sharpness": 5.0, "steps": 3},
}
_CORRECTION: Table = {"name": "ode", "width": 96, "activation": "silu", "steps": 2}
_ODE_SOLVER = {
    "optimiser": "muon",
    "learning_rate": 3.5e-3,
    "matrix_rate": 0.05,
    "batch_size": 500,
    "ema": 0.99,
}


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to spend a budget.

    Attributes:
        name: In tables.
        steps: A block's options, h and the share of the budget, for each step.
        joint: The share that joint refinement has after the last step.
        rate: Factor on the learning rates in it.
        respace: Rounds of equal arc length before it, each as long as the steps.
        own: The solver's options that differ, for each step; none: no step's do.
    """

    name: str
    steps: tuple[tuple[Table, float, float], ...]
    joint: float = 0.0
    rate: float = 1.0
    respace: int = 0
    own: tuple[Table, ...] = ()

    @property
    def whole(self) -> float:
        """The shares together."""
        return sum(fraction for _, _, fraction in self.steps) * (1 + self.respace) + self.joint


def base(data: str, block: str) -> Table:
    """Return the configuration without block, steps and iterations."""
    about = DATA[data]
    table = tomllib.loads((LIKELIHOOD / f"{about['toml']}.toml").read_text())
    table["certify"] = {"enabled": False}
    if data in LAWS:
        table["source"] = source_of(data)
    if block == "ode":
        table["block"] = {"name": "ode", **_ODE[about["toml"]]}
        if data == "patches":  # as in examples/patches.toml: with Muon the grid is exploited
            table["solver"] = {"learning_rate": 2e-3, "batch_size": 500}
            table["guard"] = {"likelihood_tolerance": 0.05}
        elif data != "miniboone":  # of so few rows, what is best on held-out ones is kept
            table["solver"] = dict(_ODE_SOLVER)
    return table


def arms(block: Table) -> list[Arm]:
    """Return the ways, for a full-size block."""
    return _ode(block) if block["name"] == "ode" else _autoregressive(block)


def _autoregressive(full: Table) -> list[Arm]:
    one, rest = maps(full, 0, 1), maps(full, 1, None)
    last = maps(full, full["transforms"] - 1, None)
    half = full["transforms"] // 2
    low, high = maps(full, 0, half), maps(full, half, None)
    return [
        Arm("one step", ((full, 100.0, 1.0),)),
        Arm("one step, a map less", ((rest, 100.0, 1.0),)),
        Arm("late-heavy", ((one, 1.0, 0.1), (rest, 100.0, 0.9))),
        Arm("large, then a correction", ((rest, 100.0, 0.85), (last, 100.0, 0.15))),
        Arm("large, then an ode", ((rest, 100.0, 0.8), (_CORRECTION, 10.0, 0.2))),
        Arm("late-heavy, a map more", ((one, 1.0, 0.1), (full, 100.0, 0.9))),
        Arm("steps, then joint", ((one, 1.0, 0.07), (rest, 100.0, 0.23)), joint=0.7),
        Arm("equal arcs", ((low, 1.0, 0.2), (high, 100.0, 0.3)), respace=1),
        Arm(
            "equal arcs, then joint",
            ((low, 1.0, 0.1), (high, 100.0, 0.15)),
            respace=1,
            joint=0.5,
        ),
        Arm("even", ((one, 1.0, 0.5), (rest, 100.0, 0.5))),
        Arm("even, then joint", ((one, 1.0, 0.25), (rest, 100.0, 0.25)), joint=0.5, rate=0.5),
    ]


def _ode(full: Table) -> list[Arm]:
    small = {**full, "width": full["width"] // 2}
    coarse = {**full, "steps": full["steps"] // 2}
    return [
        Arm("one step", ((full, 8.0, 1.0),)),
        Arm("late-heavy", ((small, 1.0, 0.1), (full, 8.0, 0.9))),
        Arm("steps, then joint", ((small, 1.0, 0.07), (full, 8.0, 0.33)), joint=0.6),
        Arm("even", ((full, 2.0, 0.5), (full, 8.0, 0.5))),
        Arm("one step, half the grid", ((coarse, 8.0, 1.0),)),
    ]


def maps(full: Table, first: int, last: int | None) -> Table:
    """Return an autoregressive block with some of the maps of another."""
    found = copy.deepcopy(full)
    kinds = full.get("univariate")
    count = len(range(full["transforms"])[first:last])
    found["transforms"] = count
    if isinstance(kinds, list):
        found["univariate"] = kinds[first:last]
    return found
