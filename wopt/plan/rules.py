"""The rules of the planner: each with what it chooses, why, and the measurement behind it.

Figures are nats of test NLL (lower is better), on the data named, after the iterations or the CPU
seconds (one thread) told; docs/benchmarks.md says how they were measured, and what the rules reach
on tables that they were not chosen on. Rules are asked in order, and what a later one says counts.
"""

from __future__ import annotations

from wopt.plan.facts import Facts
from wopt.plan.rule import Rule
from wopt.plan.sizes import blur, decay, of_plane, of_wide, passes

__all__ = ["BENT", "CROWDED", "LEAN", "RULES", "SMOOTH"]

_WIDE = 32
"""Columns beyond which splines take most of the time."""


def _data(facts: Facts) -> bool:
    return facts.kind != "density_known"


def _tiny(facts: Facts) -> bool:
    return _data(facts) and facts.rows < 10 * facts.columns


def _plane(facts: Facts) -> bool:
    return _data(facts) and facts.columns <= 2 and not facts.conditions and facts.rows >= 300


def _few(facts: Facts) -> bool:
    return _data(facts) and facts.small and not _plane(facts) and not _tiny(facts)


def _table(facts: Facts) -> bool:
    return _data(facts) and not facts.small and not _plane(facts)


def _spread(facts: Facts) -> bool:
    return _table(facts) and facts.smooth and facts.rows < 50_000 and facts.columns <= _WIDE


CROWDED = Rule(
    "few rows, crowded",
    "300 rows of MAGIC, 500 iterations: four maps, 8 bins, two layers of 32 6.30; three maps, "
    "4 bins 6.55; three layers of 64 that see magnitudes (400, other rates) 7.01. 900 "
    "rows, 800 iterations: 5.33, with three layers of 64 5.42. MiniBooNE (43 columns), 500 "
    "iterations: 5.41; three maps, 4 bins (630 iterations) 4.79; three layers of 64 6.15. "
    "Noise of 0.2 costs 0.3 and 0.6. NSF as tuned on MiniBooNE: 7.54 on 300 rows of MAGIC. "
    "On 240 rows of four other laws noise of 0.1 gains 0.01 to 1.5.",
    lambda facts: {
        "block": {
            "univariate": "affine_spline",
            "transforms": 3 if facts.columns > _WIDE else 4,
            "bins": 4 if facts.columns > _WIDE else 8,
            "hidden": [32, 32],
            "activation": "elu",
            "residual": True,
            "magnitudes": False,
            "radial": True,
        },
        "solver": {
            "learning_rate": 2e-3,
            "matrix_rate": 0.01,
            "weight_decay": 1.0,
            "batch_size": 256,
            "ema": 0.95,
            "noise": 0.0 if facts.discrete else 0.1,
        },
    },
    lambda facts: f"only {facts.rows} rows: small nets and weight decay",
    lambda facts: _few(facts) and not facts.smooth,
    recipe=True,
)

SMOOTH = Rule(
    "rows that are spread out",
    "Iterations and rates differ between these. 360 rows of a mixture of factor models (13 "
    "columns), and 2,500 cells (10): splines, four "
    "maps, three layers of 64, decay 1.5, noise 0.2: 16.52 and -6.06; the net of crowded rows, "
    "noise 0.1: 16.84 and -5.97, none: 17.06 and -5.88; without residual nets 16.30 and -5.92; "
    "NSF as tuned on MiniBooNE 16.60 and -6.01. A Gaussian, 360 rows of 10: 17.07 to 17.08, "
    "its own maximum likelihood 17.071. 5,920 rows of ringnorm and twonorm, 1,250 iterations: "
    "26.62 and 29.05, with rays 26.35 and 29.05; as for tables with noise of 0.2 (1,000 "
    "iterations) 26.51 and 29.16, without noise 26.77 and 29.16.",
    lambda facts: {
        "block": {
            "univariate": "spline",
            "transforms": 4,
            "bins": 8,
            "hidden": [64] * 3,
            "activation": "elu",
            "residual": True,
            "magnitudes": False,
            "radial": True,
        },
        "solver": {
            "learning_rate": 2e-3,
            "matrix_rate": 0.02,
            "weight_decay": 1.5 if facts.small else 1.0,
            "batch_size": 256,
            "ema": 0.97,
            "noise": blur(facts, 0.2),
        },
    },
    lambda facts: (
        f"{facts.rows} rows, as spread out as a Gaussian's: noise of {blur(facts, 0.2):g} and "
        "weight decay"
    ),
    lambda facts: (_few(facts) and facts.smooth) or _spread(facts),
    recipe=True,
)

BENT = Rule(
    "few rows, heavy tails",
    "240 rows of a Student law of eight columns: 18.47, the nets for smooth rows 18.87, those for "
    "crowded ones 18.69; of a curved law 5.41, 5.81 and 5.31 (the last with noise).",
    lambda facts: {
        "block": {
            "univariate": "affine_spline",
            "transforms": 4,
            "bins": 8,
            "hidden": [64] * 3,
            "activation": "elu",
            "residual": True,
            "magnitudes": True,
            "radial": True,
        },
        "solver": {
            "learning_rate": 2e-3,
            "matrix_rate": 0.02,
            "weight_decay": 1.0,
            "batch_size": 256,
            "ema": 0.97,
            "noise": blur(facts, 0.1),
        },
    },
    "nets that see magnitudes, some noise and weight decay",
    lambda facts: False,
    recipe=True,
)
"""Not chosen by facts: tried beside the others."""

LEAN = Rule(
    "rows that bear little",
    "240 rows, 200 iterations or fewer (8 to 13 columns): a Student law 18.31, log-normal ones "
    "9.5, a factor model 15.81, a Gaussian 21.37; the best of the other recipes 18.46, 11.5, "
    "16.05, 21.35; the Gaussian of their moments 19.00, 13.54, 16.35, 21.29. Two to four maps "
    "are within 0.08, layers of 32 trained by Adam are worse by 0.05 to 0.7.",
    lambda facts: {
        "block": {
            "univariate": "affine_spline",
            "transforms": 3,
            "bins": 5,
            "hidden": [16],
            "activation": "elu",
            "residual": True,
            "magnitudes": False,
            "radial": True,
        },
        "solver": {
            "learning_rate": 3e-3,
            "matrix_rate": 0.005,
            "weight_decay": 1.0,
            "batch_size": 256,
            "ema": 0.95,
            "noise": blur(facts, 0.1),
        },
    },
    "nets of one layer of 16, noise and weight decay",
    lambda facts: False,
    recipe=True,
)
"""Likewise."""


RULES: tuple[Rule, ...] = (
    Rule(
        "one large step",
        "MAGIC, 45 CPU s: one step 3.347; h = 1, then a large one 3.358; two cold steps of three "
        "maps 3.597; five steps 3.915. Over three seeds a short step and then a large one gained "
        "0.032 +- 0.023 on MAGIC and lost 0.02 on the rose: not enough to choose it.",
        {
            "scheme": {"name": "jko", "step_size": 100.0},
            "block": {"name": "autoregressive"},
            "stop": {"steps": 1},
        },
        "one step of h = 100",
    ),
    Rule(
        "Muon, an average, the best on held-out rows",
        "Rose, 25 CPU s, NSF: Muon 2.670, Adam 2.836. MAGIC, 800 iterations: matrix_rate 0.02 "
        "3.546, 0.01 3.597; at 0.01, learning_rate 4e-3 3.571, ema 0.98 3.558, and 1,300 batches "
        "of 256 3.538. Not tried together.",
        {
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
    ),
    Rule(
        "a plane",
        "500 iterations. Rose: spline with relu 2.776, weight decay 0.15 2.814, residual elu nets "
        "and rays 2.944, as for tables 2.986. Checkerboard: 3.537, decay 0.2 3.555, as for tables "
        "3.569. Moons: 2.412, decay 0.2 2.411, 0.5 2.423, as for tables 2.407. 600 iterations on "
        "4,000 rows: 16 bins, layers of 64, decay 0.2, noise 0.03: moons 2.420, checkerboard "
        "3.589; 32 bins, layers of 128, decay 0.1: 2.442 and 3.575; as for tables 2.426 and 3.635.",
        of_plane,
        "in the plane splines of many bins with relu nets",
        _plane,
        recipe=True,
    ),
    Rule(
        "a table",
        "MAGIC, 25 CPU s: four maps of 8 bins 3.333, five of 12 3.369, three of 12 3.459. 800 "
        "iterations: decay 0.5 3.546, 1.0 3.703. Without rays and magnitudes 0.25 worse, without "
        "residual nets 0.2. Decay: 0.3 suits 48,000 patches, 0.5 15,000 rows of MAGIC, 1.0 1,200 "
        "rows of MiniBooNE: a cube root.",
        lambda facts: {
            "block": {
                "univariate": "affine_spline",
                "transforms": 4,
                "bins": 8,
                "hidden": [64] * 4,
                "magnitudes": True,
                "radial": True,
            },
            "solver": {"weight_decay": decay(facts)},
        },
        lambda facts: (
            f"{facts.rows} rows of {facts.columns} columns: residual nets, splines after affine "
            f"maps, weight decay {decay(facts):g}"
        ),
        _table,
        recipe=True,
    ),
    Rule(
        "more than a dozen columns",
        "8,000 pictures of digits (20 principal components), 20 CPU s on a busy machine: as for "
        "tables 21.09; six maps of width 128, two with splines 20.10, at half the matrix_rate and "
        "without magnitudes 19.41, without rays 19.81; 4 + 1 maps 20.14, 4 affine ones 20.55; MAF "
        "19.73.",
        {
            "block": {
                "univariate": ["affine"] * 4 + ["affine_spline"] * 2,
                "transforms": 6,
                "bins": 4,
                "hidden": [128] * 2,
                "magnitudes": False,
            },
            "solver": {"matrix_rate": 0.01},
        },
        "splines in the last maps only",
        lambda facts: _table(facts) and 12 < facts.columns <= _WIDE,
        recipe=True,
    ),
    Rule(
        "many columns",
        "Patches, 60 CPU s: six maps of width 160, two with splines -193.25; of width 224, three "
        "with splines -192.83; MAF as tuned -191.92. After 175 s width 224 reaches -194.52.",
        of_wide,
        "splines in the last maps only",
        lambda facts: _table(facts) and facts.columns > _WIDE,
        recipe=True,
    ),
    CROWDED,
    SMOOTH,
    BENT,
    LEAN,
    Rule(
        "hardly any rows",
        "By argument, not by measurement: d columns have d (d + 3)/2 moments, which ten rows a "
        "column determine to about d/40 nats; noise of 0.4 widens the Gaussian by what they are "
        "off.",
        {
            "block": {"name": "affine"},
            "solver": {"optimiser": "adam", "learning_rate": 1e-2, "noise": 0.4},
        },
        lambda facts: f"{facts.rows} rows of {facts.columns} columns bear no more than a Gaussian",
        _tiny,
        recipe=True,
    ),
    Rule(
        "values that repeat",
        "Where a column has few values a likelihood is as high as its spikes are narrow: no model "
        "is right, and noise in training only loses. Diabetes (a column of two values): noise of "
        "0.2 -21.4, NSF -23.1.",
        {},
        "some column has few values, so likelihoods have no ceiling: `dequantise` or `smooth_time` "
        "give it a density",
        lambda facts: _data(facts) and facts.discrete,
    ),
    Rule(
        "not more passes than rows bear",
        "A schedule ends with its iterations, and a model overfits before a long one has come "
        "down: 300 rows of MAGIC train for 500 iterations (250 passes), MiniBooNE for 400 (84), "
        "MAGIC improves until 1,500 (50) at least. So 120 passes, and 500 iterations.",
        lambda facts: {"solver": {"iterations": passes(facts)}},
        "stopped by held-out rows",
        lambda facts: _data(facts) and facts.rows < 50_000,
    ),
)
"""In the order in which they are asked."""
