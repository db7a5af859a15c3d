r"""
Banana, funnel, eight modes, and what the diagnostics see
=========================================================

Four densities that can be evaluated and, for this page, drawn from exactly. ``wopt.sample`` fits
a flow to each from its log-density alone. How far can the result be trusted? Its importance weights
answer in part, and a reference sample what they cannot answer.
"""

import matplotlib.pyplot as plt
import torch

import wopt
from wopt_measures.laws.bent import BananaLaw, FunnelLaw
from wopt_measures.laws.known import ring

targets = {
    "banana": BananaLaw(2),
    "funnel": FunnelLaw(2, scale=1.5),
    "eight modes": ring(),
    "eight modes, far apart": ring(radius=8.0, scale=0.5),
}
fits = {
    name: wopt.sample(law.log_prob, dim=2, n=2000, iterations=300) for name, law in targets.items()
}

# %%
# Contours of the densities, and draws of the models.

windows = {
    "banana": ((-3.5, 3.5), (-3, 8)),
    "funnel": ((-5, 5), (-8, 8)),
    "eight modes": ((-3.2, 3.2), (-3.2, 3.2)),
    "eight modes, far apart": ((-11, 11), (-11, 11)),
}
figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
for axis, (name, fit) in zip(axes, fits.items(), strict=True):
    (left, right), (low, high) = windows[name]
    x, y = torch.meshgrid(
        torch.linspace(left, right, 120), torch.linspace(low, high, 120), indexing="xy"
    )
    points = torch.stack([x, y], -1).reshape(-1, 2).double()
    density = targets[name].log_prob(points).exp().reshape(x.shape)
    axis.scatter(*fit.draws.T, s=2, alpha=0.4)
    levels = density.max() * torch.tensor([0.03, 0.15, 0.4, 0.8])
    axis.contour(x, y, density, levels=levels, colors="C1", linewidths=0.9)
    axis.set(title=name, xlabel="$x_1$", xlim=(left, right), ylim=(low, high))
axes[0].set_ylabel("$x_2$")
figure.set_label(
    "Four panels with contours of a density and draws of a model. The draws fill the banana, the "
    "funnel and the eight modes, near each other and far apart."
)
plt.show()

# %%
# What is known, in nats. The ELBO is at most log Z, which is zero here, and the EUBO at least that;
# the gaps are KL(model | target) and KL(target | model). The EUBO needs exact draws of the target,
# which one has in tests only.

print("density                 ELBO     EUBO   k-hat  reliable")
for name, fit in fits.items():
    exact = targets[name].sample(2000, 2, torch.Generator().manual_seed(1))
    eubo = float((targets[name].log_prob(exact) - fit.flow.log_prob(exact)).mean())
    verdict = "yes" if fit.reliable else "no"
    print(f"{name:22} {fit.report.elbo:6.3f} {eubo:8.3f}  {fit.k_hat:5.2f}   {verdict}")

# %%
# A model's own weights cannot see a mode in which it has no draw. A reference sample, made before
# the training, can: the fraction of its mass that the draws miss, with its error, in percent.

for name, fit in fits.items():
    print(f"{name:22} {100 * fit.report.missing:5.1f} +- {100 * fit.report.missing_error:.1f}")

# %%
# The figures side by side. Without exact draws only the last two columns are there.

figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained", sharey=True)
names = list(fits)
shown = {
    "log Z - ELBO, nats": [-fit.report.elbo for fit in fits.values()],
    "k-hat": [fit.k_hat for fit in fits.values()],
    "missing, % of the mass": [100 * fit.report.missing for fit in fits.values()],
}
for axis, (title, values) in zip(axes, shown.items(), strict=True):
    axis.barh(names, values, height=0.6)
    axis.set(xlabel=title)
axes[0].invert_yaxis()
axes[1].axvline(fits["banana"].report.k_hat_threshold, color="C1", ls="--")
axes[1].set_xlabel("k-hat, trusted up to the dashed line")
figure.set_label(
    "Three bar charts over the four densities: the gap below log Z, k-hat with its threshold, and "
    "the fraction of the mass that the draws miss by the reference sample."
)
plt.show()
