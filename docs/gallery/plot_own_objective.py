r"""
Your own objective
==================

Ten lines: a class whose typed constructor is its configuration and whose ``contributions`` are the
values whose mean is the energy. Here particles are drawn to a circle, one side of which is
downhill. With the entropy added, the minimiser has a density, which the flow finds.
"""

from typing import Annotated

import matplotlib.pyplot as plt
import torch
from pydantic import Field

import wopt


class Ring(wopt.Objective):
    """E[(|x| - radius)^2 / 2 + slope x_1]: least on a circle, on its left side."""

    def __init__(
        self,
        radius: Annotated[float, Field(gt=0, description="of the circle")] = 2.0,
        slope: Annotated[float, Field(ge=0, description="how steep")] = 0.0,
    ):
        self.radius = radius
        self.slope = slope

    def contributions(self, particles):
        x = particles.points
        return (x.norm(dim=1) - self.radius).square() / 2 + self.slope * x[:, 0]


wopt.register("objective", "ring", Ring)

# %%
# Named like any other, added to another, minimised by any scheme. With weight 0.2 of the
# entropy the minimiser is the law of density proportional to exp(-5 V).

objective = wopt.build("objective", {"name": "ring", "slope": 0.2})
solution = wopt.solve(
    {"name": "gaussian", "dim": 2, "n_train": 2000},
    objective=objective + 0.2 * wopt.build("objective", "entropy"),
    scheme={"name": "jko", "step_size": [0.5, 2.0, 8.0, 32.0]},
    block={"name": "ode", "width": 48, "steps": 3, "sharpness": 3.0},
    solver={"iterations": 150, "learning_rate": 1e-2},
    stop={"steps": 4},
)
print(solution)

# %%
start = torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))
path = solution.flow.chain.trajectory(start)
figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained", sharex=True, sharey=True)
for axis, n in zip(axes[:3], (0, 2, 4), strict=True):
    axis.scatter(*path[n].T, s=2)
    axis.set(title="start" if n == 0 else f"after step {n}", xlabel="$x_1$", aspect="equal")
axes[0].set(ylabel="$x_2$", xlim=(-3.4, 3.4), ylim=(-3.4, 3.4))
grid = torch.linspace(-3.4, 3.4, 150)
x, y = torch.meshgrid(grid, grid, indexing="xy")
points = torch.stack([x, y], -1).reshape(-1, 2)
exact = (-5 * objective.contributions(wopt.Particles(points))).exp().reshape(x.shape)
axes[3].pcolormesh(x.numpy(), y.numpy(), (exact / exact.max()).numpy(), cmap="Blues")
axes[3].set(title="exact minimiser", xlabel="$x_1$", aspect="equal")
figure.set_label(
    "Three panels of particles: a round cloud opens to a ring, whose mass gathers on the left. "
    "The fourth shows the density of the exact minimiser, such a crescent."
)
plt.show()

# %%
# Checked against the laws of its interface, as a plugin's would be:

from wopt.testing import check_component  # noqa: E402

print(check_component("objective", "ring"))
