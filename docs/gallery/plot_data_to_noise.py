r"""
From data to noise and back
===========================

Two half moons are carried to noise by three blocks. The same blocks, backwards, carry noise to two
half moons, and the log-determinants of their derivatives give the density of the model.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LinearSegmentedColormap

import wopt

torch.manual_seed(0)
data = wopt.build("source", {"name": "toy", "shape": "moons", "n_train": 4000}).load(seed=0)
solution = wopt.fit(
    data.train,
    scheme={"name": "jko", "step_size": [0.3, 1.0, 4.0]},
    block={"name": "ode", "width": 64, "steps": 2},
    solver={"iterations": 300, "batch_size": 300},
    stop={"steps": 3},
)
print(solution)

# %%
# Where test rows are after the preprocessing and after each block. A colour follows a particle.

rows = data.test[:1500]
positions = solution.flow.trajectory(rows)
colours = rows[:, 0]
across = LinearSegmentedColormap.from_list("across", ["#0072B2", "#CC79A7", "#E69F00"])
figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharex=True, sharey=True, layout="constrained")
for n, (axis, points) in enumerate(zip(axes, positions, strict=True)):
    axis.scatter(*points.T.numpy(), c=colours.numpy(), s=2, cmap=across)
    axis.set(title="data" if n == 0 else f"after block {n}", xlabel="$x_1$", aspect="equal")
axes[0].set_ylabel("$x_2$")
figure.set_label(
    "Four scatter plots of the same particles: two half moons, two states between, and a round "
    "cloud. Colours show that neighbours stay neighbours."
)
plt.show()

# %%
# The model's density, and its samples.

(left_x, low_y), (right_x, high_y) = data.train.min(0).values, data.train.max(0).values
x, y = torch.meshgrid(
    torch.linspace(left_x - 0.5, right_x + 0.5, 120),
    torch.linspace(low_y - 0.5, high_y + 0.5, 90),
    indexing="xy",
)
density = solution.flow.log_prob(torch.stack([x, y], -1)).exp()
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.pcolormesh(x.numpy(), y.numpy(), density.numpy(), cmap="viridis")
left.set(title="density", xlabel="$x_1$", ylabel="$x_2$")
right.scatter(*solution.flow.sample(1500).T.numpy(), s=2)
right.set(title="samples", xlabel="$x_1$")
figure.set_label(
    "Left: the density of the model, bright along two half moons. Right: its samples, which lie "
    "along the same half moons."
)
plt.show()

# %%
# How far is it from the data? In nats, on rows that were not used, beside a Gaussian fit:

covariance = torch.cov(data.train.T)
gaussian = torch.distributions.MultivariateNormal(data.train.mean(0), covariance)
print("test NLL of the flow     ", round(-solution.flow.log_prob(data.test).mean().item(), 3))
print("test NLL of a Gaussian   ", round(-gaussian.log_prob(data.test).mean().item(), 3))
