"""Arms of which one step is nearly free.

``RECIPE`` is the one that was chosen, for both kinds of blocks, on ``laws.py`` alone
(``choosing.jsonl``), before it was measured on the data of the benchmark (``light.jsonl``):
three hundredths of the seconds for a step of h = 1 with one map that acts on columns, and the rest
for the large step, with the maps that are left of the one step's, or with its ``ode``.
"""

from __future__ import annotations

from arms import Arm, Table, maps

__all__ = ["RECIPE", "light"]

RECIPE = "light, then large"

_COLUMNS: Table = {"transforms": 1, "hidden": [4], "magnitudes": False, "residual": False}
"""One map whose nets are next to nothing: nearly a function of each column by itself."""

_BOLD: Table = {"learning_rate": 0.03, "weight_decay": 0.0, "ema": 0.9}
"""How it is trained: it has a hundred iterations, in which a rate of 0.002 gets nowhere."""

_FIRST = (_BOLD, {})


def light(block: Table) -> list[Arm]:
    """Return the ways, for a full-size block."""
    return _ode(block) if block["name"] == "ode" else _autoregressive(block)


def _autoregressive(full: Table) -> list[Arm]:
    one, rest = maps(full, 0, 1), maps(full, 1, None)
    columns = {**maps(full, full["transforms"] - 1, None), **_COLUMNS}
    return [
        Arm("light 1", ((columns, 1.0, 0.03), (full, 100.0, 0.97)), own=_FIRST),
        Arm("light 10", ((columns, 10.0, 0.03), (full, 100.0, 0.97)), own=_FIRST),
        Arm("light 10, a map less", ((columns, 10.0, 0.03), (rest, 100.0, 0.97)), own=_FIRST),
        Arm(RECIPE, ((columns, 1.0, 0.03), (rest, 100.0, 0.97)), own=_FIRST),
        Arm("grow", ((one, 20.0, 0.02), (rest, 80.0, 0.03)), joint=0.95),
        Arm("grow 1", ((one, 1.0, 0.02), (rest, 100.0, 0.03)), joint=0.95),
    ]


def _ode(full: Table) -> list[Arm]:
    half, coarse = full["width"] // 2, full["steps"] // 2
    small = {**full, "width": half, "steps": coarse}
    columns = {"name": "autoregressive", "univariate": "affine_spline", "bins": 12, **_COLUMNS}
    shared = {**full, "steps": coarse}
    return [
        Arm("light", ((small, 1.0, 0.03), (full, 8.0, 0.97))),
        Arm(RECIPE, ((columns, 1.0, 0.03), (full, 8.0, 0.97)), own=_FIRST),
        Arm("shared", ((shared, 4.0, 0.05), (shared, 4.0, 0.05)), joint=0.9),
    ]
