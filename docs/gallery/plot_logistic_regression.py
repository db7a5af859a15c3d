r"""
Logistic regression: a posterior from its log-density
=====================================================

Which of six measurements tell a malignant from a benign tumour (the breast-cancer table of
scikit-learn)? The posterior of the weights of a logistic regression with a Gaussian prior, from
its log-density: draws, the evidence log Z, and how far to trust both.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer

import wopt

table = load_breast_cancer()
names = ["mean radius", "mean texture", "mean smoothness", "mean concavity", "mean symmetry",
         "mean fractal dimension"]  # fmt: skip
chosen = [list(table.feature_names).index(name) for name in names]
x = torch.from_numpy(table.data[:, chosen])
x = torch.cat([torch.ones(len(x), 1), (x - x.mean(0)) / x.std(0)], 1).double()
sign = torch.where(torch.from_numpy(table.target) == 0, 1.0, -1.0).double()  # 1: malignant


def log_prob(w):  # weights (n, 7) to (n,)
    likelihood = torch.nn.functional.logsigmoid(sign[:, None] * (x @ w.T)).sum(0)
    return likelihood + torch.distributions.Normal(0.0, 3.0).log_prob(w).sum(1)


posterior = wopt.sample(log_prob, dim=7, names=["intercept", *names], iterations=200)
print(posterior.text())

# %%
# Left: what the data say of each weight, 90 % of the posterior and its mean. Right: two of the
# weights together, the draws and the Gaussian of Laplace's approximation around the mode. The
# posterior is nearly Gaussian and leans towards large weights.

draws = posterior.draws
low, high = np.quantile(draws[:, 1:], [0.05, 0.95], axis=0)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
order = np.argsort(-np.abs(posterior.means[1:].numpy()))
for row, k in enumerate(order):
    left.plot([low[k], high[k]], [row, row], lw=4, color="C0", solid_capstyle="round")
    left.plot(posterior.means[1 + k], row, "o", color="C1")
left.axvline(0, color="0.5", lw=1)
left.set_yticks(range(len(names)), [names[k] for k in order])
left.invert_yaxis()
left.set(xlabel="weight of a standard deviation", title="towards malignant: to the right")

mode = posterior.means.clone().requires_grad_()
optimiser = torch.optim.LBFGS([mode], max_iter=100, line_search_fn="strong_wolfe")


def loss():
    optimiser.zero_grad()
    value = -log_prob(mode[None])[0]
    value.backward()
    return value


optimiser.step(loss)
hessian = -torch.autograd.functional.hessian(lambda w: log_prob(w[None])[0], mode.detach())
covariance = torch.linalg.inv(hessian)
pair = [1, 4]  # radius and concavity
root = torch.linalg.cholesky(covariance[pair][:, pair])
angle = torch.linspace(0, 2 * torch.pi, 200).double()
circle = torch.stack([angle.cos(), angle.sin()])
right.scatter(*draws[:1500, pair].T, s=3, alpha=0.35, label="draws")
for level, size in ((0.5, 1.177), (0.95, 2.448)):
    ring = mode.detach()[pair, None] + size * root @ circle
    right.plot(*ring, color="C1", lw=1.4, label=f"Laplace, {level:.0%}")
right.set(xlabel=names[0], ylabel=names[3], title="two weights")
right.legend()
figure.set_label(
    "Left: intervals of six weights; radius, concavity, smoothness and texture point to "
    "malignant, the other two are nearer to zero. Right: draws of two weights around the ellipses "
    "of a Gaussian."
)
plt.show()

# %%
# The evidence, log Z, compares models; its error is that of the draws. Is the regression better
# without the two weakest columns? The difference of two log Z is the logarithm of a Bayes factor.

kept = [0, *(1 + order[:4])]


def smaller(w):
    likelihood = torch.nn.functional.logsigmoid(sign[:, None] * (x[:, kept] @ w.T)).sum(0)
    return likelihood + torch.distributions.Normal(0.0, 3.0).log_prob(w).sum(1)


other = wopt.sample(smaller, dim=5, iterations=200)
for name, fit in (("six columns ", posterior), ("four columns", other)):
    print(f"{name}: log Z = {fit.log_z:.3f} +- {fit.log_z_error:.3f}, k-hat {fit.k_hat:.2f}")
