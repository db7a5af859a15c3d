"""The rules of the planner: each with what it chooses, why, and the measurement behind it.

All figures are nats of test or held-out NLL (lower is better) after the CPU seconds or iterations
that are told, on the data named; docs/benchmarks.md has the tables. Rules are asked in order, and
what a later one says counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from wopt.plan.facts import Facts

__all__ = ["RULES", "Rule"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: Of the rule.
        applies: Whether it speaks of these facts.
        options: What it chooses, as tables of a configuration.
        why: In a clause, for people; empty for what is always so.
        measured: What justifies it.
    """

    name: str
    applies: Callable[[Facts], bool]
    options: Callable[[Facts], dict[str, Any]]
    why: Callable[[Facts], str]
    measured: str


def _data(facts: Facts) -> bool:
    return facts.kind != "density_known"


def _tiny(facts: Facts) -> bool:
    return _data(facts) and facts.rows < 10 * facts.columns


def _plane(facts: Facts) -> bool:
    return _data(facts) and facts.columns <= 2 and facts.rows >= 3000


def _small(facts: Facts) -> bool:
    return _data(facts) and facts.small and not _plane(facts) and not _tiny(facts)


def _table(facts: Facts) -> bool:
    return _data(facts) and not facts.small and facts.columns > 2


def decay(facts: Facts) -> float:
    """Return the weight decay for so many rows: 0.5 at 15,000, with their cube root.

    Under Muon, whose steps have the length of the rate, it bounds a matrix's norm by its inverse.

    Example:
        >>> decay(Facts(15_216, 1902, 10)), decay(Facts(1218, 152, 43)), decay(Facts(48_000, 1, 63))
        (0.5, 1.0, 0.34)
    """
    return min(1.0, max(0.1, round(0.5 * (15_216 / facts.rows) ** (1 / 3), 2)))


def _patient(facts: Facts) -> int:
    """Return how many iterations few rows bear: 500, and 120 passes over them."""
    size = 256 if facts.small else 500
    return 500 + 120 * facts.rows // size


def _of_plane(facts: Facts) -> dict[str, Any]:
    rows = facts.rows
    return {
        "block": {
            "univariate": "spline",
            "transforms": 3,
            "bins": 48 if rows >= 50_000 else 32,
            "hidden": [128, 128],
            "activation": "relu",
            "residual": False,
        },
        "solver": {"learning_rate": 3e-3, "weight_decay": 0.0 if rows >= 50_000 else 0.1},
    }


def _of_table(facts: Facts) -> dict[str, Any]:
    return {
        "block": {
            "univariate": "affine_spline",
            "transforms": 4,
            "bins": 8,
            "hidden": [64] * 4,
            "magnitudes": True,
            "radial": True,
        },
        "solver": {"weight_decay": decay(facts)},
    }


def _of_wide(facts: Facts) -> dict[str, Any]:
    width = 96 if facts.budget < 30 else 160 if facts.budget < 150 else 224
    splines = 2 if facts.budget < 150 else 3
    return {
        "block": {
            "univariate": ["affine"] * (6 - splines) + ["affine_spline"] * splines,
            "transforms": 6,
            "bins": 3,
            "hidden": [width] * 2,
        },
        "solver": {"weight_decay": 0.3},
    }


def _of_crowded(facts: Facts) -> dict[str, Any]:
    return {
        "block": {
            "univariate": "affine_spline",
            "transforms": 3 if facts.columns > 32 else 4,
            "bins": 4 if facts.columns > 32 else 8,
            "hidden": [32, 32],
            "radial": True,
        },
        "solver": {"matrix_rate": 0.01, "weight_decay": 1.0, "batch_size": 256, "ema": 0.95},
    }


def _of_smooth(facts: Facts) -> dict[str, Any]:
    return {
        "block": {
            "univariate": "spline",
            "transforms": 4,
            "bins": 8,
            "hidden": [64] * 3,
        },
        "solver": {"weight_decay": 1.5, "batch_size": 256, "ema": 0.97, "noise": 0.2},
    }


def _of_affine(facts: Facts) -> dict[str, Any]:
    return {
        "block": {"name": "affine"},
        "solver": {"optimiser": "adam", "learning_rate": 1e-2, "noise": 0.4, "iterations": 500},
    }


RULES: tuple[Rule, ...] = (
    Rule(
        "one large step",
        lambda facts: True,
        lambda facts: {
            "scheme": {"name": "jko", "step_size": 100.0},
            "block": {"name": "autoregressive"},
            "stop": {"steps": 1},
        },
        lambda facts: "one step of h = 100",
        "MAGIC, 45 CPU s: one step 3.347; h = 1, then a large one 3.358; two cold steps of three "
        "maps 3.597; five steps 3.915. Over three seeds a short step and then a large one gained "
        "0.032 +- 0.023 on MAGIC and lost 0.02 on the rose: not enough to choose it.",
    ),
    Rule(
        "Muon, an average, the best on held-out rows",
        lambda facts: True,
        lambda facts: {
            "solver": {
                "optimiser": "muon",
                "learning_rate": 2e-3,
                "matrix_rate": 0.02,
                "batch_size": 500,
                "ema": 0.99,
                "iterations": 100_000,
                "check_rows": 5000,
                "patience": 12,
                "warm_start": False,
            },
        },
        lambda facts: "",
        "Rose, 25 CPU s, NSF: Muon 2.670, Adam 2.836. MAGIC, 800 iterations: matrix_rate 0.02 3.546, "
        "0.01 3.597; learning_rate 4e-3 3.571; batches of 256 for as long 3.538; ema 0.98 3.558.",
    ),
    Rule(
        "a plane",
        _plane,
        _of_plane,
        lambda facts: "in the plane splines of many bins with relu nets",
        "500 iterations, rose: spline with relu 2.776, weight decay 0.15 2.814, residual elu nets "
        "and rays 2.944, as for tables 2.986; checkerboard: 3.537, decay 0.2 3.555, as for tables "
        "3.569; moons: 2.412, decay 0.2 2.411, 0.5 2.423, as for tables 2.407.",
    ),
    Rule(
        "a table",
        _table,
        _of_table,
        lambda facts: (
            f"{facts.rows} rows of {facts.columns}: residual nets, splines after affine "
            f"maps, weight decay {decay(facts):g}"
        ),
        "MAGIC, 25 CPU s: four maps of 8 bins 3.333; five of 12 3.369; three of 12 3.459. 800 "
        "iterations: decay 0.5 3.546, 1.0 3.703. Without rays and magnitudes 0.25 worse, without "
        "residual nets 0.2 (docs/benchmarks.md). Weight decay: 0.3 suits 48,000 patches, 0.5 "
        "15,000 rows of MAGIC, 1.0 1,200 rows of MiniBooNE, a cube root.",
    ),
    Rule(
        "many columns",
        lambda facts: _table(facts) and facts.columns > 32,
        _of_wide,
        lambda facts: "splines in the last maps only",
        "Patches, 60 CPU s: six maps of width 160, two with splines -193.25; of 224, three with "
        "splines -192.83; MAF as tuned -191.92. At 175 s 224 reaches -194.52.",
    ),
    Rule(
        "few rows, crowded",
        lambda facts: _small(facts) and not facts.smooth,
        _of_crowded,
        lambda facts: f"only {facts.rows} rows: small nets, weight decay, stopped by held-out rows",
        "",
    ),
    Rule(
        "few rows, smooth",
        lambda facts: _small(facts) and facts.smooth,
        _of_smooth,
        lambda facts: (
            f"only {facts.rows} rows, as spread as a Gaussian's: noise of 0.2 and weight "
            "decay, stopped by held-out rows"
        ),
        "",
    ),
    Rule(
        "hardly any rows",
        _tiny,
        _of_affine,
        lambda facts: f"{facts.rows} rows of {facts.columns} columns bear no more than a Gaussian",
        "",
    ),
    Rule(
        "not more passes than rows bear",
        lambda facts: _data(facts) and facts.rows < 50_000 and not _tiny(facts),
        lambda facts: {"solver": {"iterations": _patient(facts)}},
        lambda facts: "",
        "",
    ),
)
"""In the order in which they are asked."""
