r"""
Sampling a density that can be evaluated
========================================

A banana, known by its potential V = -log q up to a constant. A Gaussian is carried to it by
minimising KL. The flow has a density, so its samples can be weighted: the weights estimate the
normalising constant and show how good the fit is.
"""

import math

import matplotlib.pyplot as plt
import torch

import wopt

torch.manual_seed(0)


def potential(x):
    return x[:, 0].square() / 2 + (x[:, 1] - x[:, 0].square()).square()


solution = wopt.solve(
    {"name": "gaussian", "dim": 2, "n_train": 2000, "scale": 1.5},
    objective={"name": "kl", "target": {"name": "potential", "function": potential, "dim": 2}},
    scheme={"name": "jko", "step_size": [0.3, 1.0, 3.0]},
    block={"name": "autoregressive", "hidden": [32, 32]},
    solver={"iterations": 200, "learning_rate": 5e-3},
    stop={"steps": 3},
)
print(solution)

# %%
x, y = torch.meshgrid(torch.linspace(-3, 3, 100), torch.linspace(-2, 7, 100), indexing="xy")
exact = (-potential(torch.stack([x, y], -1).reshape(-1, 2))).exp().reshape(x.shape)
samples, log_density = solution.flow.sample_and_log_prob(2000)
figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
axis.scatter(*samples.T.numpy(), s=2, alpha=0.4, label="samples of the flow")
axis.contour(
    x.numpy(),
    y.numpy(),
    exact.numpy(),
    levels=[0.03, 0.1, 0.3, 0.5, 0.7, 0.9],
    colors="C1",
    linewidths=0.9,
)
axis.set(xlim=(-3, 3), ylim=(-2, 7), xlabel="$x_1$", ylabel="$x_2$", title="target (contours)")
axis.legend()
figure.set_label(
    "Contours of a density along a parabola, and samples of the flow, which fill them and the "
    "beginnings of both arms."
)
plt.show()

# %%
# Weights q/p of the samples: an estimate of log Z (here known), and the effective sample size.

log_weight = (-potential(samples) - log_density).double()
weights = torch.softmax(log_weight, 0)
print("log Z by weights ", round(float(torch.logsumexp(log_weight, 0)) - math.log(2000), 3))
print("log Z, exact     ", round(math.log(2 * math.pi) / 2 + math.log(math.pi) / 2, 3))
print("effective samples", round(float(1 / weights.square().sum())), "of 2000")
