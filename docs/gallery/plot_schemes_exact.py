r"""
Five schemes by hand, exactly
=============================

KL between two Gaussians whose covariances do not commute, with affine maps: each step of a scheme
is then a closed form (section 3 of the mathematics), and what is seen is the scheme alone, without
any training error.

Left: the gap :math:`\mathrm{KL}(p_n \mid q)` by time. Right: the distance to the exact gradient
flow at time 1, by step size. Lines of slope two belong to schemes of order two.
"""

import math

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

from wopt.testing import gaussian_problems

problem = gaussian_problems()["rotated"]

# %%
# A scheme is written with two functions of the problem: its gradient and its proximal map.


def jko(x, before, h):
    return problem.prox(x, h)


def explicit(x, before, h):
    return x - h * problem.gradient(x)


def bdf2(x, before, h):
    anchor = x if before is None else (4 * x - before) / 3
    return problem.prox(anchor, h if before is None else 2 * h / 3)


def midpoint(x, before, h):
    return 2 * problem.prox(x, h / 2) - x


def sdirk2(x, before, h):
    c = 1 - 1 / math.sqrt(2)
    first = problem.prox(x, c * h)
    return problem.prox(x - (1 - c) * h * problem.gradient(first), c * h)


def run(scheme, h, steps):
    """Return the labels after each step."""
    labels, before = [problem.labels()], None
    for _ in range(steps):
        labels.append(scheme(labels[-1], before, h))
        before = labels[-2]
    return labels


def distance(x, t):
    """Return how far mean and covariance are from the exact flow's at time t."""
    mean, covariance = problem.flow(t)
    root = x[:, 1:]
    gap = (x[:, 0] - mean).square().sum() + (root @ root.T - covariance).square().sum()
    return float(gap.sqrt())


# %%
schemes = {f.__name__: f for f in (jko, explicit, bdf2, midpoint, sdirk2)}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
sizes = [1 / n for n in (4, 8, 16, 32, 64)]
for name, scheme in schemes.items():
    gaps = [problem.gap(x) for x in run(scheme, 0.1, 40)]
    left.semilogy([0.1 * n for n in range(41)], gaps, label=name)
    right.loglog(sizes, [distance(run(scheme, h, round(1 / h))[-1], 1.0) for h in sizes], "o-")
left.set(xlabel="time", ylabel="KL, nats", title="h = 0.1")
right.set_xticks(sizes, [f"1/{round(1 / h)}" for h in sizes])
right.xaxis.set_minor_formatter(NullFormatter())
right.set(xlabel="h", ylabel="mean and covariance", title="distance to the flow at time 1")
left.legend()
figure.set_label(
    "Left: KL by time, nearly one curve for five schemes. Right: the distance to the exact flow by "
    "step size; jko and explicit on lines of slope one, the other three of slope two."
)
plt.show()

# %%
# The measured orders, from the last two step sizes:

for name, scheme in schemes.items():
    coarse, fine = (distance(run(scheme, h, round(1 / h))[-1], 1.0) for h in sizes[-2:])
    print(f"{name:9} {math.log2(coarse / fine):.2f}")
