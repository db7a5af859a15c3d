"""The rules of the planner: each with what it chooses, why, and the measurement behind it."""

from __future__ import annotations

from wopt.plan.rule import (
    JUDGES,
    WIDE,
    PlanRule,
    blur,
    data,
    decay,
    few_rows,
    many_rows,
    of_plane,
    of_wide,
    passes,
    plane,
    shrinking,
    smoothing,
    spread_rows,
    tiny,
    well_judged,
)

__all__ = ["BENT", "CROWDED", "LEAN", "RULES", "SMOOTH"]

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


RULES: tuple[PlanRule, ...] = (
    PlanRule(
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
    PlanRule(
        "Muon, an average, the best on held-out rows",
        "Rose, 25 CPU s, NSF: Muon 2.670, Adam 2.836. MAGIC, 800 iterations: matrix_rate 0.02 "
        "3.546, 0.01 3.597; at 0.01, learning_rate 4e-3 3.571, ema 0.98 3.558, and 1,300 batches "
        "of 256 3.538. Not tried together.",
        {
            "solver": {
                "name": "muon",
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
    PlanRule(
        "a plane",
        "500 iterations. Rose: spline with relu 2.776, weight decay 0.15 2.814, residual elu nets "
        "and rays 2.944, as for tables 2.986. Checkerboard: 3.537, decay 0.2 3.555, as for tables "
        "3.569. Moons: 2.412, decay 0.2 2.411, 0.5 2.423, as for tables 2.407. 600 iterations on "
        "4,000 rows: 16 bins, layers of 64, decay 0.2, noise 0.03: moons 2.420, checkerboard "
        "3.589; 32 bins, layers of 128, decay 0.1: 2.442 and 3.575; as for tables 2.426 and 3.635. "
        "8,000 rows of eight laws, 40 CPU s, noise of 0.02: moons -0.003, rings -0.010, pinwheel "
        "-0.001, checkerboard +0.002, funnel +0.001; of 0.025: -0.005, -0.016, +0.003, +0.009, "
        "+0.004, eight Gaussians -0.002, spirals -0.005, a ridge -0.007. 32,000 rows, 0.014: moons "
        "0.000, rings +0.005, pinwheel 0.000, checkerboard +0.010. Where rows are thinner than the "
        "noise it costs: 4,000 rows of a pinwheel +0.011, cells in the plane +0.012 (0.03) "
        "and 7,920 of them +0.014. But 1,000 rows gain by 0.042: rings 0.083, spirals 0.12, the "
        "pinwheel 0.017 (cells lose 0.023), so that only from 4,000 rows on this is asked. "
        "Rose, layers of 64 and of 128, whose iterations take 1.6 times as long: after 8 CPU s "
        "2.736 and 2.891, 16 CPU s 2.621 and 2.692, 2,500 iterations 2.581 and 2.574. Batches of "
        "250 in the narrow ones 2.774 (8 CPU s) and 2.667 (16). 300 iterations of the wide ones "
        "2.891: 32 bins 2.933, two maps of those 3.002, four 2.914; learning_rate 0.01 2.876, "
        "matrix_rate 0.05 2.920. A budget of 300 s: two layers of 128 2.552 (284 s), three 2.547 "
        "(219), four maps of two 2.551 (265).",
        of_plane,
        "in the plane splines of many bins with relu nets",
        plane,
        recipe=True,
    ),
    PlanRule(
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
        lambda facts: many_rows(facts) and not spread_rows(facts),
        recipe=True,
    ),
    PlanRule(
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
        lambda facts: many_rows(facts) and not spread_rows(facts) and 12 < facts.columns <= WIDE,
        recipe=True,
    ),
    PlanRule(
        "many columns",
        "Patches, 60 CPU s: six maps of width 160, two with splines -193.25; of width 224, three "
        "with splines -192.83; MAF as tuned -191.92. After 175 s width 224 reaches -194.52.",
        of_wide,
        "splines in the last maps only",
        lambda facts: many_rows(facts) and facts.columns > WIDE,
        recipe=True,
    ),
    CROWDED,
    SMOOTH,
    BENT,
    LEAN,
    PlanRule(
        "hardly any rows",
        "By argument, not by measurement: d columns have d (d + 3)/2 moments, which ten rows a "
        "column determine to about d/40 nats; noise of 0.4 widens the Gaussian by what they are "
        "off.",
        {
            "block": {"name": "affine"},
            "solver": {"name": "adam", "learning_rate": 1e-2, "noise": 0.4},
        },
        lambda facts: f"{facts.rows} rows of {facts.columns} columns bear no more than a Gaussian",
        tiny,
        recipe=True,
    ),
    PlanRule(
        "more held-out rows than judges",
        "1,000,000 rows of 64 columns: 100,000 held-out and as many test rows take 10 of 60 CPU s "
        "to judge one map by; 20,000 know the mean NLL to 0.06 nats (of 71), and what two maps "
        "differ by, row for row, better.",
        {"guard": {"rows": JUDGES}},
        lambda facts: f"judged by {JUDGES} of {facts.held_out} held-out rows",
        lambda facts: data(facts) and well_judged(facts),
    ),
    PlanRule(
        "columns that are not normal",
        "20 CPU s, whitened and with curves: MiniBooNE 4.80 and 2.41, differing by 2.39 +- 0.49; "
        "MAGIC (500 iterations) 3.87 and 3.52; clusters (500) 6.19 and 6.07. Patches -187.7 and "
        "-172.0: there a law of the distance is nearer than curves, which decides "
        "(wopt/plan/preprocess.py).",
        {},
        lambda facts: f"curves make {facts.curves} of {facts.columns} columns nearly normal",
        lambda facts: data(facts) and facts.curves > 0,
    ),
    PlanRule(
        "values that repeat",
        "Where a column has few values a likelihood is as high as its spikes are narrow: no model "
        "is right, and noise in training only loses. Diabetes (a column of two values): noise of "
        "0.2 -21.4, NSF -23.1.",
        {},
        "some column has few values, so likelihoods have no ceiling: `dequantise` or `smooth_time` "
        "give it a density",
        lambda facts: data(facts) and facts.discrete,
    ),
    PlanRule(
        "tails where values repeat",
        "Steep maps cost a row that nothing like was trained on thousands of nats. German credit, "
        "100 test rows, seeds 3 and 4: -18 and 93 (two rows of 7,271 and 5,686), NSF -19 and -22; "
        "with logarithmic tails -32 and -30. Where values do not repeat they gain nothing (iris, "
        "wine, breast cancer, banana, friedman: within two errors).",
        {"block": {"tails": "logarithmic"}},
        "tails that grow like a logarithm",
        lambda facts: data(facts) and facts.discrete and not tiny(facts),
    ),
    PlanRule(
        "columns of columns",
        "By argument: rows on a plane of fewer dimensions have no density.",
        {},
        "columns are linear functions of others, so likelihoods have no ceiling: leave them out, "
        "or `smooth_time` gives a density",
        lambda facts: data(facts) and facts.dependent,
    ),
    PlanRule(
        "not more passes than rows bear",
        "A schedule ends with its iterations, and a model overfits before a long one has come "
        "down: 300 rows of MAGIC train for 500 iterations (250 passes), MiniBooNE for 400 (84), "
        "MAGIC improves until 1,500 (50) at least. So 120 passes, and 500 iterations.",
        lambda facts: {"solver": {"iterations": passes(facts)}},
        "stopped by held-out rows",
        lambda facts: data(facts) and facts.rows < 50_000,
    ),
)
"""All rules, in the order in which they apply."""
