r"""
Your own scheme
===============

A scheme says what a step minimises, and nothing else: no loop, no log-determinants. Here is the
method of the heavy ball, a JKO step from where particles would be if they kept a share of their
last move, beside JKO and Nesterov's momentum.
"""

from typing import Annotated

import matplotlib.pyplot as plt
from pydantic import Field

import wopt
from wopt.testing import AffineBlock, check_component, gaussian_problems


class HeavyBall(wopt.ProximalScheme):
    """A JKO step from x + momentum (x - x_prev)."""

    def __init__(
        self,
        step_size: wopt.StepSizeOption = wopt.named("constant"),
        momentum: Annotated[float, Field(ge=0, lt=1, description="share of the last move")] = 0.3,
    ) -> None:
        self.step_size = step_size
        self.momentum = momentum

    def subproblem(self, history, objective):
        x = history.particles
        last = 0.0 if history.previous is None else x.points - history.previous
        return wopt.Subproblem(x, x.points + self.momentum * last, history.step_size, objective)


wopt.register("scheme", "heavy_ball", HeavyBall)
print(check_component("scheme", "heavy_ball"))

# %%
# KL between Gaussians, by affine maps, solved to rounding: what is seen is the scheme.

problem = gaussian_problems()["rotated"]
schemes = {
    "jko": "jko",
    "heavy_ball, momentum 0.3": {"name": "heavy_ball", "momentum": 0.3},
    "heavy_ball, momentum 0.7": {"name": "heavy_ball", "momentum": 0.7},
    "accelerated": "accelerated",
}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for label, scheme in schemes.items():
    options = {"name": scheme} if isinstance(scheme, str) else scheme
    solution = wopt.solve(
        problem.nodes(),
        objective=problem.objective(),
        scheme={**options, "step_size": 0.1},
        block=AffineBlock(2),
        solver={"name": "lbfgs"},
        stop={"steps": 24},
    )
    left.semilogy(range(1, 25), [r.energy for r in solution.history], label=label)
    means = solution.flow.chain.trajectory(problem.m[None])[:, 0]
    right.plot(*means.T, ".-", lw=1, label=label)
right.plot(*problem.n, "k*", ms=10)
left.set(xlabel="step, h = 0.1", ylabel="KL, nats", title="the energy")
left.legend()
right.set(xlabel="$m_1$", ylabel="$m_2$", title="the mean, on its way to the star")
figure.set_label(
    "Left: KL by step for four schemes; momentum falls faster than JKO. Right: the paths of the "
    "mean; with momentum 0.7 it overshoots its aim and comes back."
)
plt.show()
