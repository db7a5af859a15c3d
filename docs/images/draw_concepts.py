"""Draw the pictures of docs/concepts.md: python docs/images/draw_concepts.py."""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
mpl.rcParams.update({"svg.hashsalt": "wopt", "svg.fonttype": "none", "font.family": "sans-serif"})
INK, BLUE, RED, GREY = "#1f2933", "#2b6cb0", "#c53030", "#8a94a0"


def save(figure: Figure, name: str) -> None:
    """Write a figure as SVG, the same bytes each time."""
    figure.savefig(HERE / name, facecolor="white", metadata={"Date": None})


def flow() -> None:
    """KL(. | N(0, 1)) from two bumps: mixtures stay mixtures under the exact flow."""
    means, deviations = np.array([-2.0, 1.2]), np.array([0.35, 0.5])
    x = np.linspace(-3.6, 3.6, 240)
    levels = np.linspace(0.04, 0.96, 12)
    times = [0.0, 0.25, 0.6, 1.2, 2.5]
    figure, axis = plt.subplots(figsize=(8, 3.2))
    places = []
    for n, t in enumerate(times):
        m, v = np.exp(-t) * means, 1 + np.exp(-2 * t) * (deviations**2 - 1)
        density = np.exp(-((x[:, None] - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
        density = density.mean(1)
        below = np.cumsum(density) / density.sum()
        places.append(np.interp(levels, below, x))
        axis.fill_betweenx(x, n, n + 0.8 * density / 0.7, color=BLUE, alpha=0.35, lw=0)
        axis.plot(n + 0.8 * density / 0.7, x, color=BLUE, lw=1.2)
    for way in np.array(places).T:
        axis.plot(range(len(times)), way, color=INK, lw=0.7, marker="o", ms=2.5)
    axis.set_xticks(range(len(times)), ["data $p_0$", "$p_1$", "$p_2$", "$p_3$", "noise $p_4$"])
    axis.set_yticks([])
    axis.set_xlim(-0.15, 4.8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    save(figure, "concept-flow.svg")


def step() -> None:
    """Energy, cost of moving and their sum along the geodesic to the minimiser."""
    d = np.linspace(-0.3, 2.6, 300)
    energy, cost = 0.5 * (2 - d) ** 2, d**2 / 2
    figure, axis = plt.subplots(figsize=(6, 3))
    axis.plot(d, energy, color=BLUE, label="energy G")
    axis.plot(d, cost, color=GREY, label="cost of moving, $W^2/2h$")
    axis.plot(d, energy + cost, color=RED, lw=2, label="their sum")
    for at, name in ((0, "$p_n$"), (1, "$p_{n+1}$"), (2, "minimiser of G")):
        axis.plot([at], [0], "o", color=INK, ms=5, clip_on=False, zorder=5)
        axis.annotate(name, (at, 0), (at, -0.62), ha="center", color=INK, annotation_clip=False)
    axis.plot([1, 1], [0, 1], color=RED, lw=0.8, ls=":")
    axis.set_ylim(0, 3)
    axis.set_xlim(-0.3, 2.6)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.legend(frameon=False, loc="upper center", fontsize=9)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    save(figure, "concept-step.svg")


if __name__ == "__main__":
    flow()
    step()
