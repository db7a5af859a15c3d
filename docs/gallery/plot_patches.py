r"""
Patches of photographs
======================

Small grey patches of scikit-learn's two photographs, 6 by 6 pixels. A patch is one row of 35
numbers (the mean is taken off, and one pixel follows from the others). One large step, which is
nearly maximum likelihood, with autoregressive maps whose nets see how strong a patch is: in
photographs flat patches and edges alternate, and all pixels of a patch are strong or weak together.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import wopt

source = wopt.build("source", {"name": "patches", "size": 6, "n_train": 20_000, "n_test": 2000})
data = source.load(seed=0)
solution = wopt.solve(
    source,
    scheme={"name": "jko", "step_size": 100.0},
    block={"name": "autoregressive", "hidden": [96, 96], "magnitudes": True, "radial": True},
    solver={"iterations": 250, "batch_size": 250, "name": "muon"},
    stop={"steps": 1},
)
print(solution)

# %%
# Patches that the model has not seen, the model's samples, and those of a Gaussian with the same
# covariance.

rng = torch.Generator().manual_seed(1)
covariance = torch.cov(data.train.T)
gaussian = torch.distributions.MultivariateNormal(data.train.mean(0), covariance)
torch.manual_seed(2)
rows = {
    "held-out patches": data.test[:60],
    "samples of the flow": solution.flow.sample(60, generator=rng),
    "samples of a Gaussian": gaussian.sample((60,)),
}


def sheet(x):
    """Return patches side by side in one picture, six by ten."""
    tiles = source.load(seed=0).images(x).reshape(6, 10, 6, 6)
    framed = np.pad(np.asarray(tiles), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    return framed.transpose(0, 2, 1, 3).reshape(42, 70)[:-1, :-1]


figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
for axis, (title, x) in zip(axes, rows.items(), strict=True):
    axis.imshow(sheet(x), cmap="gray", vmin=-0.3, vmax=0.3)
    axis.set(title=title)
    axis.set_axis_off()
figure.set_label(
    "Three sheets of sixty small grey patches. Those of the data and of the flow are flat patches "
    "beside a few with edges; those of the Gaussian are all alike, soft and blurred."
)
plt.show()

# %%
# The difference of two neighbouring pixels is mostly small and sometimes large. A Gaussian cannot
# say so; the flow can.

figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
laws = {
    "held-out patches": data.test,
    "flow": solution.flow.sample(2000, generator=rng),
    "Gaussian": gaussian.sample((2000,)),
}
bins = np.linspace(-0.4, 0.4, 41)
for name, x in laws.items():
    images = np.asarray(data.images(x))
    jumps = (images[:, :, 1:] - images[:, :, :-1]).reshape(-1)
    heights = np.histogram(jumps, bins, density=True)[0]
    axis.semilogy((bins[1:] + bins[:-1]) / 2, np.where(heights > 0, heights, np.nan), label=name)
axis.set(xlabel="difference of neighbouring pixels", ylabel="density")
axis.legend()
figure.set_label(
    "Density of the difference of neighbouring pixels on a logarithmic scale. Data and flow have a "
    "sharp peak at zero and long tails; the Gaussian is a parabola that misses both."
)
plt.show()

# %%
# In nats a patch, on patches from other parts of the photographs:

print("test NLL of the flow  ", round(-solution.flow.log_prob(data.test).mean().item(), 2))
print("test NLL of a Gaussian", round(-gaussian.log_prob(data.test).mean().item(), 2))
