"""The picture of docs/bounds.md: KL against steps for several inner tolerances.

    python examples/certificates.py [docs/images/certificate-floor.svg]

Real runs of the JKO flow of KL, from a Gaussian to another of a turned covariance, by affine maps
on quadrature nodes: residuals and divergences are then exact. Each inner solve (Adam) ends when the
first-order error is within the tolerance. About a minute on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch

import wopt
from wopt.testing import AffineBlock, NormalTarget, gaussian_kl, gaussian_nodes
from wopt_certify.bounds import theorem_p

matplotlib.use("svg")
from matplotlib.figure import Figure

MEAN = torch.tensor([4.0, -3.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[3.0, 1.2], [1.2, 1.0]], dtype=torch.float64)
TARGET = NormalTarget([0.0, 0.0], [[1.0, -0.3], [-0.3, 0.5]])
H, STEPS = 0.5, 24
TOLERANCES = (0.3, 0.1, 0.03, 0.01)
COLOURS = ("#D55E00", "#E69F00", "#009E73", "#0072B2")


def run(tolerance: float) -> wopt.Solution:
    """Return the flow whose every step is solved to a tolerance."""
    return wopt.solve(
        gaussian_nodes(MEAN, COVARIANCE),
        objective={"name": "kl", "target": TARGET},
        scheme={"name": "jko", "step_size": H},
        block=AffineBlock(2),
        solver=wopt.InnerSolver(
            iterations=400,
            learning_rate=0.02,
            check_every=1,
            tolerance=tolerance,
            rounds=20,
            warm_start=False,  # near the floor the identity is nearer than the last map
        ),
        stop=wopt.Stop(steps=STEPS),
    )


def divergences(solution: wopt.Solution) -> list[float]:
    """Return KL before the first step and after each, in closed form."""
    m, c = MEAN, COVARIANCE
    values = [gaussian_kl(m, c, TARGET.mean, TARGET.covariance)]
    for block in solution.flow.blocks:
        a, b = block.matrix.double(), block.shift.double()
        m, c = a @ m + b, a @ c @ a.T
        values.append(gaussian_kl(m, c, TARGET.mean, TARGET.covariance))
    return values


def main(out: Path) -> None:
    """Draw the picture and print the table."""
    lam = TARGET.convexity
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    axes = figure.subplots()
    print("tolerance  largest eps  KL at the end  bound (P)  eps^2/(2 lambda)  steps to twice it")
    for tolerance, colour in zip(TOLERANCES, COLOURS, strict=True):
        solution = run(tolerance)
        kl = divergences(solution)
        eps = np.array([r.residual for r in solution.history])
        bound = theorem_p(kl[0], [H] * len(eps), eps, lam)
        floor = float(eps.max()) ** 2 / (2 * lam)
        at = range(len(kl))
        axes.semilogy(at, kl, "o-", ms=4, color=colour, label=f"KL, tolerance {tolerance:g}")
        axes.semilogy(at, [kl[0], *bound], "--", lw=1.2, color=colour)
        axes.axhline(floor, color=colour, lw=0.8, ls=":")
        reached = next((n for n, value in enumerate(kl) if value <= 2 * floor), None)
        print(
            f"{tolerance:9g}  {eps.max():11.4g}  {kl[-1]:13.4g}  {bound[-1]:9.4g}  {floor:16.4g}"
            f"  {reached}"
        )
        assert all(value <= b * (1 + 1e-9) for value, b in zip(kl[1:], bound, strict=True))
    axes.plot([], [], "k--", lw=1.2, label="Theorem P, measured eps")
    axes.plot([], [], "k:", lw=0.8, label="eps^2 / (2 lambda)")
    axes.set_xlabel("step")
    axes.set_ylabel("KL(p_n | q), nats")
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, fontsize=9)
    axes.set_title(f"Geometric decay to a floor of the size eps^2 (h = {H}, exact)", loc="left")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})
    print(f"written: {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/certificate-floor.svg"))
