"""Recipes for few rows: nets and regularisation, between which trials decide."""

from __future__ import annotations

from wopt.plan.kinds import WIDE, few_rows, spread_rows
from wopt.plan.rule import PlanRule
from wopt.plan.sizes import blur, shrinking, smoothing

__all__ = ["BENT", "CROWDED", "LEAN", "SMOOTH"]

CROWDED = PlanRule(
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
            "transforms": 3 if facts.columns > WIDE else 4,
            "bins": 4 if facts.columns > WIDE else 8,
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
    lambda facts: few_rows(facts) and not facts.smooth,
    recipe=True,
)

SMOOTH = PlanRule(
    "rows that are spread out",
    "Iterations and rates differ between these. 360 rows of a mixture of factor models (13 "
    "columns), and 2,500 cells (10): splines, four "
    "maps, three layers of 64, decay 1.5, noise 0.2: 16.52 and -6.06; the net of crowded rows, "
    "noise 0.1: 16.84 and -5.97, none: 17.06 and -5.88; without residual nets 16.30 and -5.92; "
    "NSF as tuned on MiniBooNE 16.60 and -6.01. A Gaussian, 360 rows of 10: 17.07 to 17.08, "
    "its own maximum likelihood 17.071. 5,920 rows of ringnorm and twonorm, 1,250 iterations: "
    "26.62 and 29.05, with rays 26.35 and 29.05; as for tables with noise of 0.2 (1,000 "
    "iterations) 26.51 and 29.16, without noise 26.77 and 29.16. Where columns have edges noise "
    "costs: uniform in three columns (2.079 is the least), 6,400 rows: noise of 0.2 2.248, 0.05 "
    "2.132, none 2.110; 2,000 rows: 2.256, 2.163, 2.154; 320 rows: 2.309, 2.263, 2.265.",
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
            "noise": smoothing(facts),
        },
    },
    lambda facts: (
        f"{facts.rows} rows, as spread out as a Gaussian's: noise of {smoothing(facts):g} and "
        "weight decay"
    ),
    lambda facts: (few_rows(facts) and facts.smooth) or spread_rows(facts),
    recipe=True,
)

BENT = PlanRule(
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
    lambda _: False,
    recipe=True,
)
"""A recipe that no facts choose: it is tried beside the others."""

LEAN = PlanRule(
    "rows that bear little",
    "240 rows, 200 iterations or fewer (8 to 13 columns): a Student law 18.31, log-normal ones "
    "9.5, a factor model 15.81, a Gaussian 21.37; the best of the other recipes 18.46, 11.5, "
    "16.05, 21.35; the Gaussian of their moments 19.00, 13.54, 16.35, 21.29. Two to four maps "
    "are within 0.08, layers of 32 trained by Adam are worse by 0.05 to 0.7. With ten rows a "
    "column (four laws, two seeds) noise of 0.25 gains 0.003 to 0.3 over 0.1, in all eight; 0.4 "
    "gains 0.1 more or loses up to 0.7.",
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
            "noise": shrinking(facts),
        },
    },
    "nets of one layer of 16, noise and weight decay",
    lambda _: False,
    recipe=True,
)
"""A recipe that no facts choose: it is tried beside the others."""
