r"""
The porous medium equation, against Barenblatt's solution
=========================================================

The gradient flow of :math:`\int p^2` is :math:`\partial_t p = \Delta p^2`: gas in a porous medium,
which spreads the slower the thinner it is and, unlike heat, has an edge. From the profile
:math:`B(x) = (C - c |x|^2)_+` it is, in the plane, B dilated by :math:`s(t) = (1 + 4 K t)^{1/4}`
with :math:`K = 4 c` (section 5.3 of the mathematics). Neither objective nor maps know that.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import wopt

c = 0.7
peak = (2 * c / np.pi) ** 0.5  # C, by the mass pi C^2/(2c) = 1
edge = (peak / c) ** 0.5


def barenblatt(n, seed):
    """Return n draws of B with their log-density, by the law of |x|^2."""
    rng = torch.Generator().manual_seed(seed)
    level, turn = torch.rand(2, n, generator=rng, dtype=torch.float64)
    fraction = 1 - level.sqrt()  # of the squared radius at the edge: density 2 (1 - share)
    angle = 2 * torch.pi * turn
    x = edge * fraction.sqrt()[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return wopt.Particles.start(x, None, (peak * (1 - fraction)).log())


# %%
# Steps that grow, because the gas slows down, by maps that are gradients of convex nets.

sizes = [0.02, 0.03, 0.05, 0.1, 0.2, 0.4]
solution = wopt.solve(
    barenblatt(1500, seed=0),
    valid=barenblatt(1500, seed=1),
    objective={"name": "internal", "m": 2.0},
    scheme={"name": "jko", "step_size": sizes},
    block={"name": "icnn", "width": 16},
    solver={"iterations": 120, "learning_rate": 5e-3, "batch_size": 500},
    stop={"steps": len(sizes)},
)
print(solution)

fresh, states = barenblatt(1500, seed=2), []
with torch.no_grad():
    x, log_density = fresh.points, fresh.log_density_start
    states.append((x, log_density))
    for block in solution.flow.blocks:
        x, change = block(x)
        log_density = log_density - change
        states.append((x, log_density))


def dilation(t):
    return (1 + 16 * c * t) ** 0.25


# %%
# Fresh particles, carried by the maps: their density against the exact profile, and where they
# stand inside the exact edge.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
profile, cloud, growth = axes
times = np.concatenate([[0.0], np.cumsum(sizes)])
for n, step in enumerate((0, 2, 4, 6)):
    t, (x, log_density) = times[step], states[step]
    s, r = dilation(t), np.linspace(0, 2.6, 400)
    profile.plot(r, np.maximum(peak - c * (r / s) ** 2, 0) / s**2, color=f"C{n}", lw=1)
    profile.plot(x.norm(dim=1)[:150], log_density[:150].exp(), ".", ms=3, color=f"C{n}",
                 label=f"t = {t:.2f}")  # fmt: skip
profile.set(xlabel="|x|", ylabel="density", title="exact (lines), by JKO (points)", xlim=(0, 2.6))
profile.legend()
for n, step in ((3, 6), (0, 0)):
    x, s = states[step][0], dilation(times[step])
    cloud.scatter(*x[:700].T, s=3, color=f"C{n}", label=f"t = {times[step]:.2f}")
    cloud.add_patch(plt.Circle((0, 0), s * edge, fill=False, color=f"C{n}"))
cloud.set(xlabel="$x_1$", ylabel="$x_2$", title="inside the exact edge", aspect="equal")
cloud.legend(loc="upper right")
spread = [float((x.square().sum(1).mean() / fresh.points.square().sum(1).mean()).sqrt())
          for x, _ in states]  # fmt: skip
line = np.linspace(0, times[-1], 200)
growth.plot(line, dilation(line), color="0.5", label="exact flow")
growth.plot(times, spread, "o", label="by trained maps")
steps = [1.0]
for h in sizes:  # the exact step of a dilation: s - s_n = h K / s^3
    low, high = steps[-1], 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if middle - steps[-1] > 4 * c * h / middle**3 else (middle, high)
    steps.append(low)
growth.plot(times, steps, "x", ms=7, label="exact JKO steps")
growth.set(xlabel="time", ylabel="dilation s", title="how far the gas has spread")
growth.legend()
figure.set_label(
    "Left: four parabolic profiles that widen and flatten, with the densities of particles on "
    "them. Middle: particles at the start and at the end, inside circles of the exact radius. "
    "Right: the dilation over time of trained maps, of exact steps and of the exact flow."
)
plt.show()
