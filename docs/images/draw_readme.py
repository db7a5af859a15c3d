"""Draw the picture of README.md (half a minute): python docs/images/draw_readme.py."""

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image

import wopt

HERE = Path(__file__).parent
ACROSS = LinearSegmentedColormap.from_list("across", ["#0072B2", "#CC79A7", "#E69F00"])


def draw() -> None:
    """Fit two moons in three JKO steps; show held-out rows after each, and samples."""
    data = wopt.build("source", {"name": "toy", "shape": "moons", "n_train": 4000}).load(seed=0)
    flow = wopt.fit(
        data.train,
        scheme={"name": "jko", "step_size": [0.15, 0.6, 4.0]},
        block={"name": "ode", "width": 64, "steps": 2},
        solver={"iterations": 450, "batch_size": 300},
        stop={"steps": 3},
        certify={"enabled": False},
    ).flow
    rows = data.test[:1000]
    there = flow.trajectory(rows)
    back = flow.trajectory(flow.sample(1000, generator=torch.Generator().manual_seed(0)))
    panels = [
        ("data", there[0], rows),
        ("after step 1", there[1], rows),
        ("after step 2", there[2], rows),
        ("after step 3: noise", there[3], rows),
        ("samples of the model", back[0], back[0]),
    ]
    figure, axes = plt.subplots(1, 5, figsize=(10, 2.25), layout="constrained")
    for axis, (title, points, colours) in zip(axes, panels, strict=True):
        axis.scatter(*points.T.numpy(), c=colours[:, 0].numpy(), s=2.5, lw=0, cmap=ACROSS)
        axis.set_title(title, fontsize=9)
        axis.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", xticks=[], yticks=[])
    figure.savefig(HERE / "readme.png", dpi=110, facecolor="white")
    with Image.open(HERE / "readme.png") as image:  # 48 colours take a third of the bytes
        image.convert("RGB").quantize(48, dither=Image.Dither.NONE).save(
            HERE / "readme.png", optimize=True
        )


if __name__ == "__main__":
    draw()
