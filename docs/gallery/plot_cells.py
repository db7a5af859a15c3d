r"""
Cells in time
=============

Cells are measured on days 0 and 2, each once, since measuring destroys them. A flow from the
first population to the second says how cells may have moved. Here the population is simulated: it
branches, and one branch divides more often. So day 1, which the flow is not shown, is known too.
"""

import matplotlib.pyplot as plt
import torch

import wopt


def cells(day, n, seed):
    """Return n cells: they drift to the right, and each bends up or down, as its start inclines."""
    rng = torch.Generator().manual_seed(seed)
    first = 0.35 * torch.randn(8 * n, 2, generator=rng)
    up = torch.rand(8 * n, generator=rng) < torch.sigmoid(6 * first[:, 1])
    sign = torch.where(up, 1.0, -1.0)
    moved = torch.stack([1.2 * day + 0 * sign, 0.35 * sign * day**1.5], 1)
    x = first + moved + 0.08 * day**0.5 * torch.randn(8 * n, 2, generator=rng)
    divided = torch.where(up, 0.4 * day, 0.0).exp()  # descendants of a cell
    return x[torch.multinomial(divided, n, generator=rng)].double()


days = {day: cells(day, 500, seed=10 + day) for day in (0, 1, 2)}

# %%
# From day 0 to day 2 by JKO steps of the Sinkhorn divergence, which the data know by samples only.
# The block ``ode`` moves cells continuously, so that there is a path.

start, held_out = wopt.Particles.start(days[0][:400]), wopt.Particles.start(days[0][400:])
solution = wopt.solve(
    start,
    valid=held_out,
    objective={
        "name": "sinkhorn", "epsilon": 0.1, "tolerance": 1e-2, "samples": 200,
        "target": {"name": "samples", "points": days[2].tolist()},
    },
    scheme={"name": "jko", "step_size": [0.15, 0.25, 0.5, 2.0]},
    block={"name": "ode", "width": 32, "steps": 2},
    solver={"iterations": 60, "learning_rate": 1e-2, "batch_size": 200},
    stop={"steps": 4},
    dtype="float64",
)  # fmt: skip
print(solution)

# %%
# When has a cell gone half of its way? Blocks are of unlike length, so time is measured by the
# mean way that the cells have gone, and day 1 is where half of it is behind them.

path = solution.flow.chain.trajectory(days[0])
lengths = (path[1:] - path[:-1]).norm(dim=2).mean(1)
shares = torch.cat([torch.zeros(1), lengths.cumsum(0) / lengths.sum()])
after = int((shares < 0.5).sum())
part = (0.5 - shares[after - 1]) / (shares[after] - shares[after - 1])
half = path[after - 1] + part * (path[after] - path[after - 1])

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharex=True, sharey=True, layout="constrained")
for day, x in days.items():
    axes[0].scatter(*x.T, s=4, color=f"C{day}", label=f"day {day}")
axes[0].set(title="measured (day 1 is held back)", xlabel="$x_1$", ylabel="$x_2$")
axes[0].legend(loc="upper left")
for line in path[:, :60].transpose(0, 1):
    axes[1].plot(*line.T, color="C0" if line[-1, 1] > 0 else "C1", lw=0.8)
    axes[1].plot(*line[-1], ".", color="0.5", ms=4)
axes[1].set(title="paths of sixty cells by the flow", xlabel="$x_1$")
axes[2].scatter(*days[1].T, s=4, color="C1", label="day 1, measured")
axes[2].scatter(*half.T, s=4, color="C0", label="day 1, by the flow")
axes[2].set(title="half of the way", xlabel="$x_1$")
axes[2].legend(loc="upper left")
figure.set_label(
    "Left: three populations of cells; the first is one cloud, the last has two branches. Middle: "
    "paths of cells from the cloud to either branch. Right: cells half way lie on those of day 1."
)
plt.show()

# %%
# How far is the guess from day 1? The energy distance, beside those of doing nothing, of straight
# lines to the partners of an exact plan, and between two draws of day 1, which is noise.

last = {"name": "samples", "points": days[2].tolist(), "draw": "all"}
plan = wopt.build("objective", {"name": "wasserstein", "target": last})
plan = plan.at(1)
x = days[0].clone().requires_grad_()
(gradient,) = torch.autograd.grad(plan.energy(wopt.Particles(x)), x)
partners = days[0] - 500 * gradient  # the gradient at a cell is (x - T(x)) / n
guesses = {
    "day 0 again": days[0],
    "the mean of both, straight lines": (days[0] + partners) / 2,
    "the flow": half,
    "another draw of day 1 (noise)": cells(1, 500, seed=99),
}
target = {"name": "samples", "points": days[1].tolist(), "draw": "all"}
distance = wopt.build("objective", {"name": "energy_distance", "target": target})
distance = distance.at(1)
for name, x in guesses.items():
    print(f"{name:33} {float(distance.energy(wopt.Particles(x))):.4f}")

# %%
# What a flow cannot know: it moves cells and keeps their number, so that one branch's divisions are
# told as cells that cross over from the other.

fraction = float((path[-1][:, 1] > 0).double().mean())
print(f"cells on the upper branch: {float((days[2][:, 1] > 0).double().mean()):.0%} measured on "
      f"day 2, {fraction:.0%} by the flow; inclined upwards on day 0: 50%")  # fmt: skip
