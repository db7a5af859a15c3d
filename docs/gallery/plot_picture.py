r"""
MMD and Sinkhorn flows to a picture
===================================

A drawing is known by samples only, so KL is out of reach, but distances between samples are not.
A cloud of particles flows to the drawing by JKO steps of two objectives: the energy distance (an
MMD) and the Sinkhorn divergence. Nothing restricts how the particles move: a block ``particles``
is a displacement for each.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

import wopt

# %%
# The drawing: points inside two letters.

glyphs = TextPath((0, 0), "W2", size=1.0)
corners = glyphs.get_extents().get_points()
outline = Path(glyphs.vertices - corners.mean(0), glyphs.codes)
rng = torch.Generator().manual_seed(0)
points = 2.4 * torch.rand(20_000, 2, generator=rng) - 1.2
target = 2.5 * points[torch.from_numpy(outline.contains_points(points))][:320].double()
start = wopt.Particles.start(torch.randn(320, 2, generator=rng).double() * 0.6)
samples = {"name": "samples", "points": target.tolist(), "draw": "all"}

objectives = {
    "MMD, kernel -r": {"name": "mmd", "kernel": "energy", "target": samples},
    "Sinkhorn divergence": {
        "name": "sinkhorn", "epsilon": 0.05, "tolerance": 1e-2, "target": samples,
    },
}  # fmt: skip
steps = {"MMD, kernel -r": [2.0, 8.0, 32.0, 128.0], "Sinkhorn divergence": [0.2, 0.5, 2.0, 8.0]}
flows = {
    name: wopt.solve(
        start,
        objective=objective,
        scheme={"name": "jko", "step_size": steps[name]},
        block="particles",
        solver={"iterations": 60, "learning_rate": 0.05, "batch_size": 320},
        stop={"steps": 4},
    )
    for name, objective in objectives.items()
}

# %%
# Where the particles are at the start and after each step; the drawing is behind them.

figure, axes = plt.subplots(2, 5, figsize=(12, 4), sharex=True, sharey=True, layout="constrained")
for row, (name, solution) in zip(axes, flows.items(), strict=True):
    path = solution.flow.chain.trajectory(start.points)
    for n, (axis, x) in enumerate(zip(row, path, strict=True)):
        axis.scatter(*target.T, s=4, color="0.6", alpha=0.5)
        axis.scatter(*x.T, s=4, color="C0")
        axis.set(title="start" if n == 0 else f"after step {n}", aspect="equal")
        axis.set(xlim=(-2.4, 2.4), ylim=(-1.8, 1.8), xticks=[-2, 0, 2], yticks=[-1, 0, 1])
    row[0].set_ylabel(f"{name}\n$x_2$")
for axis in axes[-1]:
    axis.set_xlabel("$x_1$")
figure.set_label(
    "Two rows of five panels. A round cloud of particles becomes the letters W2 in four steps: "
    "above by an MMD flow, below by a Sinkhorn flow."
)
plt.show()

# %%
# The energy distance hardly sees single particles that stray, so a few do.
# How far are all in the end, by a measure that neither minimised? Half the squared Wasserstein
# distance, by an exact plan:

distance = wopt.build("objective", {"name": "wasserstein", "target": samples, "samples": 320})
distance = distance.at(1)
print(f"{'start':20} {float(distance.energy(start)):.5f}")
for name, solution in flows.items():
    print(f"{name:20} {float(distance.energy(solution.state.train.particles)):.5f}")
