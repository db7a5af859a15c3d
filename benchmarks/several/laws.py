"""Laws on which a way to train may be chosen: none of them is one that it is judged by."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

__all__ = ["LAWS", "source_of"]

Law = Callable[[Generator, int], np.ndarray]


def tails(r: Generator, n: int) -> np.ndarray:
    """Return twelve columns with heavy tails: Student's, log-normal, scales that vary together."""
    z = r.normal(size=(n, 12)) @ np.linalg.qr(np.random.default_rng(5).normal(size=(12, 12)))[0]
    z *= np.linspace(0.4, 1.6, 12)
    z[:, :6] /= np.sqrt(r.chisquare(4, (n, 1)) / 4)
    z[:, 6:9] = np.exp(0.7 * z[:, 6:9])
    z[:, 9] += np.tanh(2 * z[:, 0]) * z[:, 10]
    return z


def planned(name: str) -> Law:
    """Return a synthetic table of the planner's benchmark."""

    def draw(r: Generator, n: int) -> np.ndarray:
        import planner

        law = {"mixed": planner.mixed_marginals, "clusters": planner.clusters}[name]
        return law(n, int(r.integers(1000))).numpy()

    return draw


LAWS: dict[str, tuple[Law | str, int, str]] = {
    "checkerboard": ("checkerboard", 0, "rose"),
    "mixed": (planned("mixed"), 16_000, "magic"),
    "clusters": (planned("clusters"), 16_000, "magic"),
    "tails": (tails, 16_000, "magic"),
    "few tails": (tails, 1_500, "miniboone"),
}
"""By name: what draws rows, or a toy of wopt; how many; whose settings they are trained with."""


def source_of(name: str) -> dict[str, Any]:
    """Return the ``[source]`` of a law; its rows are drawn once and kept in a temporary file."""
    law, rows, _ = LAWS[name]
    if isinstance(law, str):
        return {"name": "toy", "shape": law}
    path = Path(tempfile.gettempdir()) / f"several-{name.replace(' ', '-')}.npy"
    if not path.exists():
        np.save(path, law(np.random.default_rng(11), rows))
    return {"name": "array", "path": str(path)}
