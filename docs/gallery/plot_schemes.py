r"""
Eight schemes side by side
==========================

KL from one Gaussian to another whose covariances do not commute. The block is affine and the
subproblems are solved to rounding, so what is seen is the schemes alone, as any run would use
them. Only ``scheme.name`` changes.
"""

import math

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

import wopt
from wopt.testing import AffineBlock, gaussian_problems

problem = gaussian_problems()["rotated"]
names = ["jko", "forward_backward", "explicit", "bdf2", "crank_nicolson", "midpoint", "sdirk2",
         "accelerated"]  # fmt: skip


def solve(name, h, steps):
    """Return a solution by a scheme from the start's quadrature nodes, which are exact."""
    return wopt.solve(
        problem.nodes(),
        objective=problem.objective(),
        scheme={"name": name, "step_size": h},
        block=AffineBlock(2),
        solver={"name": "lbfgs"},
        stop={"steps": steps},
    )


# %%
# Left: the gap :math:`\mathrm{KL}(p_n \mid q)` by time. Momentum falls fastest: it does not follow
# the gradient flow but wants its end. Right: the distance to the exact flow at time 0.4, by step
# size. Lines of slope two belong to schemes of order two.

h = 0.1
steps = 16
gaps = {name: [r.energy for r in solve(name, h, steps).history] for name in names}
sizes = [0.4 / n for n in (2, 4, 8)]
errors = {
    name: [problem.error(solve(name, s, round(0.4 / s)).state.train.particles, 0.4) for s in sizes]
    for name in names
    if name != "accelerated"
}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
dashes = {"jko": "-", "forward_backward": "--", "explicit": ":"}
for n, name in enumerate(names):
    style = {"color": f"C{n}", "ls": dashes.get(name, "-"), "label": name}
    left.semilogy([h * (k + 1) for k in range(steps)], gaps[name], **style)
    if name in errors:
        right.loglog(sizes, errors[name], "o", **style)
left.set(xlabel="time", ylabel="KL, nats", title=f"h = {h}")
right.set(xlabel="h", ylabel="mean and covariance", title="distance to the flow at time 0.4")
right.set_xticks(sizes, [f"{s:g}" for s in sizes])
right.xaxis.set_minor_formatter(NullFormatter())
left.legend(fontsize=8)
figure.set_label(
    "Left: KL by time for eight schemes, all falling, the accelerated one fastest in the end. "
    "Right: errors by step size; jko, forward-backward and explicit on lines of slope one, the "
    "other four on lines of slope two and far lower."
)
plt.show()

# %%
# The measured orders, from the last two step sizes, and where each scheme ends:

for name in names:
    order = f"{math.log2(errors[name][1] / errors[name][2]):.2f}" if name in errors else "  - "
    print(f"{name:17} order {order}   KL after {steps} steps {gaps[name][-1]:.2e}")

# %%
# :doc:`plot_schemes_exact` writes five of them by hand, in a line each, and `the schemes compared
# <../schemes.html>`_ lets them train nets on data.
