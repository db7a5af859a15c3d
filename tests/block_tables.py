"""Tables of the blocks of plugins under test, with the options that matter."""

AUTO = {"name": "autoregressive", "bins": 4, "hidden": [4, 4], "transforms": 2}
WITH_LOG_DET = {
    "affine": {"name": "affine"},
    "affine-symmetric": {"name": "affine", "symmetric": True},
    "icnn": {"name": "icnn", "width": 16},
    "icnn-shallow": {"name": "icnn", "width": 8, "depth": 1, "sharpness": 1.0},
    "icnn-deep": {"name": "icnn", "width": 8, "depth": 3},
    "residual": {"name": "residual", "width": 16},
    "residual-tanh": {"name": "residual", "width": 8, "depth": 3, "activation": "tanh"},
    "residual-narrow": {"name": "residual", "width": 2, "depth": 1, "activation": "softplus"},
    "residual-series": {"name": "residual", "width": 16, "exact": 0},
    "residual-free": {"name": "residual", "width": 8, "lipschitz": 0.0},
    "autoregressive": AUTO,
    "autoregressive-plain": AUTO
    | {"univariate": "spline", "bins": 2, "hidden": [7, 9], "residual": False, "transforms": 1},
    "autoregressive-scales": AUTO | {"magnitudes": True, "radial": True},
    "autoregressive-images": AUTO | {"sees": "images"},
    "autoregressive-defensive": AUTO | {"univariate": "affine", "tails": "defensive"},
    "autoregressive-affine": AUTO | {"univariate": "affine", "tails": "logarithmic"},
}
OWN = WITH_LOG_DET | {"particles": {"name": "particles"}}

STRUCTURES = ["MaskedAutoregressiveTransform", "GeneralCouplingTransform", "ElementWiseTransform"]
UNIVARIATE = ["MonotonicAffineTransform", "MonotonicRQSTransform", "BoundedBernsteinTransform"]

ZUKO = {
    "coupling": {"name": "coupling"},
    "maf": {"name": "maf"},
    "maf-two-passes": {"name": "maf", "passes": 2, "activation": "tanh"},
    "naf": {"name": "naf", "monotone": [8, 8], "signal": 4},
    "naf-two-passes": {"name": "naf", "monotone": [6], "passes": 2, "activation": "tanh"},
    "spline": {"name": "spline", "bins": 5},
    "spline-coupling": {"name": "spline", "passes": 2, "activation": "elu", "transforms": 3},
    "spline-small-box": {"name": "spline", "bound": 1.5},
} | {
    f"zuko-{structure}-{univariate}": {
        "name": "zuko",
        "transform": structure,
        "univariate": univariate,
        "pieces": 6,
    }
    for structure in STRUCTURES
    for univariate in UNIVARIATE
}
ZUKO = {name: {"hidden": [16, 16], **table} for name, table in ZUKO.items()}
BLOCKS = OWN | ZUKO
