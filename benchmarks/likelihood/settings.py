"""What wopt is compared with, and for how long. wopt's own settings are the TOML files."""

from __future__ import annotations

from rivals import Rival

__all__ = ["RIVALS"]

_CNF = {"hidden_features": [128, 128], "activation": "SiLU", "atol": 1e-4, "rtol": 1e-4}

RIVALS: dict[str, dict[str, Rival]] = {
    "rose": {
        "NSF": Rival(
            "NSF",
            learning_rate=3e-3,
            options={
                "transforms": 3,
                "bins": 32,
                "hidden_features": [128] * 3,
                "activation": "ReLU",
            },
        ),
        "MAF": Rival(
            "MAF",
            learning_rate=2e-3,
            options={"transforms": 8, "hidden_features": [128] * 2, "activation": "ReLU"},
        ),
        "CNF": Rival("CNF", learning_rate=3e-3, options=_CNF | {"exact": True}),
    },
    "magic": {
        "NSF": Rival(
            "NSF",
            matrix_rate=0.01,
            weight_decay=0.5,
            options={
                "transforms": 5,
                "bins": 12,
                "hidden_features": [64, 64],
                "activation": "ELU",
            },
        ),
        "MAF": Rival(
            "MAF",
            matrix_rate=0.01,
            weight_decay=0.5,
            options={"transforms": 5, "hidden_features": [128, 128], "activation": "ELU"},
        ),
        "CNF": Rival("CNF", learning_rate=3e-3, options=_CNF | {"exact": False}),
    },
    "patches": {
        "NSF": Rival(
            "NSF",
            weight_decay=0.2,
            options={
                "transforms": 3,
                "bins": 4,
                "hidden_features": [256, 256],
                "activation": "ELU",
            },
        ),
        "MAF": Rival(
            "MAF",
            weight_decay=0.2,
            options={"transforms": 5, "hidden_features": [320, 320], "activation": "ELU"},
        ),
        "CNF": Rival("CNF", options=_CNF | {"hidden_features": [256, 256], "exact": False}),
    },
    "miniboone": {
        "NSF": Rival(
            "NSF",
            matrix_rate=0.01,
            weight_decay=1.0,
            ema=0.95,
            batch_size=256,
            options={
                "transforms": 3,
                "bins": 4,
                "hidden_features": [32, 32],
                "activation": "ELU",
            },
        ),
        "MAF": Rival(
            "MAF",
            matrix_rate=0.01,
            weight_decay=1.0,
            learning_rate=1e-3,
            batch_size=256,
            options={"transforms": 3, "hidden_features": [64, 64], "activation": "ELU"},
        ),
        "CNF": Rival(
            "CNF", batch_size=256, options=_CNF | {"hidden_features": [64, 64], "exact": False}
        ),
    },
}
