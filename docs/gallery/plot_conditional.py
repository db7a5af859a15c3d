r"""
A density given a condition
===========================

The law of y given u, where y has two branches that meet and part again as u grows. One flow holds
all of them: no map changes the condition, and every net sees it.
"""

import matplotlib.pyplot as plt
import torch

import wopt

torch.manual_seed(0)

rng = torch.Generator().manual_seed(0)
u = 4 * torch.rand(4000, 1, generator=rng) - 2
branch = torch.randint(2, (4000, 1), generator=rng) * 2 - 1
y = branch * u.square() / 2 + 0.2 * torch.randn(4000, 1, generator=rng)

solution = wopt.fit(
    y,
    conditions=u,
    scheme={"name": "jko", "step_size": [1.0, 4.0]},
    block={"name": "autoregressive", "univariate": "spline", "hidden": [64, 64]},
    solver={"iterations": 250},
    stop={"steps": 2},
)
print(solution)

# %%
# The density of y for three values of u, and samples for as many values as there are rows.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
grid = torch.linspace(-3, 3, 300)[:, None]
for value in (-1.8, 0.0, 1.0):
    density = solution.flow.log_prob(grid, conditions=torch.tensor([value])).exp()
    left.plot(grid[:, 0], density, label=f"u = {value}")
left.set(xlabel="y", ylabel="density", title="density given u")
left.legend()
right.scatter(u[:, 0], y[:, 0], s=2, alpha=0.3, label="data")
drawn = solution.flow.sample(conditions=u[:1500])
right.scatter(u[:1500, 0], drawn[:, 0], s=2, alpha=0.5, label="samples")
right.set(xlabel="u", ylabel="y", title="samples given u")
right.legend()
figure.set_label(
    "Left: densities of y for three values of u, two of them with two bumps and that of u = 0 with "
    "one. Right: data and samples lie on the same two branches, which meet at u = 0."
)
plt.show()
