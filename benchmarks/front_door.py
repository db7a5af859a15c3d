"""What ``wopt.fit(x, budget)`` and its certificate say of laws of known density, without options.

    OMP_NUM_THREADS=1 python benchmarks/front_door.py [LAW ...] [--budget 10] [--label now]
    python benchmarks/front_door.py --table

None of these laws chose a rule of the planner or a challenger before it was first measured here
(label ``before``); bent columns and broken lines were then made for what those lines showed.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench import one_thread, table
from torch import Tensor
from torch import distributions as of
from torch.distributions import transforms

import wopt

HERE = Path(__file__).parent
FRESH = 40_000
"""Rows that tell KL, with its standard error."""


class Law:
    """A law of torch, or draws and a log-density."""

    def __init__(self, sample: Callable[[int], Tensor], log_prob: Callable[[Tensor], Tensor]):
        self.sample, self.log_prob = sample, log_prob

    @classmethod
    def of(cls, law: of.Distribution) -> Law:
        """Return the law of one of torch's distributions."""
        return cls(lambda n: law.sample((n,)), law.log_prob)


def wide(*values: float) -> Tensor:
    """Return numbers in float64."""
    return torch.tensor(values, dtype=torch.float64)


def independent(one: of.Distribution) -> Law:
    """Return the law of independent columns."""
    return Law.of(of.Independent(one, 1))


def mixture(means: list[list[float]], scales: list[list[float]], weights: list[float]) -> Law:
    """Return a mixture of Gaussians with diagonal covariances."""
    parts = of.Independent(of.Normal(wide(*means), wide(*scales)), 1)
    return Law.of(of.MixtureSameFamily(of.Categorical(wide(*weights)), parts))


def covariance(d: int) -> Tensor:
    """Return a random covariance; its upper left blocks are those of smaller d."""
    a = torch.randn(15, 15, generator=torch.Generator().manual_seed(5)).double()
    whole = a @ a.T / 15 + 0.05 * torch.eye(15).double()
    return whole[:d, :d]


def sine() -> Law:
    """A thin curve: x_1 of N(0, 4), x_2 of N(sin 3 x_1, 0.05^2)."""

    def sample(n: int) -> Tensor:
        x = 2 * torch.randn(n, dtype=torch.float64)
        return torch.stack([x, (3 * x).sin() + 0.05 * torch.randn(n)], 1)

    def log_prob(x: Tensor) -> Tensor:
        given = of.Normal((3 * x[:, 0]).sin(), wide(0.05)).log_prob(x[:, 1])
        return of.Normal(wide(0.0), wide(2.0)).log_prob(x[:, 0]) + given

    return Law(sample, log_prob)


def swiss_roll() -> Law:
    """A sheet rolled by t of Gamma(8, 1), uniform across, with noise of 0.3; by quadrature."""
    gamma = of.Gamma(wide(8.0), wide(1.0))
    t = torch.linspace(0.05, 30, 6000, dtype=torch.float64)
    weights = gamma.log_prob(t) + math.log(float(t[1] - t[0]))

    def sample(n: int) -> Tensor:
        s = gamma.sample((n,))[:, 0]
        x, y = s * s.cos() + 0.3 * torch.randn(n), s * s.sin() + 0.3 * torch.randn(n)
        return torch.stack([x, 5 * torch.rand(n), y], 1)

    def log_prob(x: Tensor) -> Tensor:
        parts = [
            of.Normal(t * t.cos(), 0.3).log_prob(c[:, :1])
            + of.Normal(t * t.sin(), 0.3).log_prob(c[:, 2:])
            + weights
            for c in x.split(500)
        ]
        inside = (x[:, 1] >= 0) & (x[:, 1] <= 5)
        logs = torch.cat([part.logsumexp(1) for part in parts]) - math.log(5)
        return torch.where(inside, logs, -math.inf)

    return Law(sample, log_prob)


def chain(d: int = 8) -> Law:
    """x_k+1 of N(x_k/2, s^2), s = exp(0.7 tanh x_k)."""

    def given(x: Tensor) -> of.Normal:
        return of.Normal(0.5 * x, (0.7 * x.tanh()).exp())

    def sample(n: int) -> Tensor:
        x = [torch.randn(n, dtype=torch.float64)]
        for _ in range(d - 1):
            x.append(given(x[-1]).sample())
        return torch.stack(x, 1)

    def log_prob(x: Tensor) -> Tensor:
        first = of.Normal(wide(0.0), wide(1.0)).log_prob(x[:, 0])
        return first + given(x[:, :-1]).log_prob(x[:, 1:]).sum(1)

    return Law(sample, log_prob)


GRID = [[2.0 * i, 2.0 * j] for i in range(5) for j in range(5)]
LAWS: dict[str, Callable[[], Law]] = {
    "scales of 0.02, 0.3 and 1, d = 2": lambda: mixture(
        [[0, 0], [3, 0], [0, 3]], [[0.02, 0.02], [1, 1], [0.3, 0.02]], [0.3, 0.4, 0.3]
    ),
    "a thin sine, d = 2": sine,
    "a Swiss roll, d = 3": swiss_roll,
    "Laplace, d = 6": lambda: independent(of.Laplace(torch.zeros(6).double(), wide(1.0))),
    "Beta(1/2, 1/2), d = 2": lambda: independent(of.Beta(wide(0.5, 0.5), wide(0.5, 0.5))),
    "correlated log-normal, d = 4": lambda: Law.of(
        of.TransformedDistribution(
            of.MultivariateNormal(torch.zeros(4).double(), covariance(4)),
            [transforms.ExpTransform()],
        )
    ),
    "a Gaussian, d = 15": lambda: Law.of(
        of.MultivariateNormal(torch.zeros(15).double(), covariance(15))
    ),
    "a chain of scales, d = 8": chain,
    "25 modes, d = 2": lambda: mixture(GRID, [[0.15, 0.15]] * 25, [0.04] * 25),
    "Student, 3 degrees, d = 5": lambda: independent(of.StudentT(wide(3.0, 3.0, 3.0, 3.0, 3.0))),
}


def measure(name: str, rows: int, budget: float, seed: int, label: str) -> dict[str, Any]:
    """Fit, certify, and set beside both what is true."""
    law = LAWS[name]()
    torch.manual_seed(seed + 11)
    x, fresh = law.sample(rows), law.sample(FRESH)
    begun = time.process_time()
    solution = wopt.fit(x, budget=budget, seed=seed, listener=False)
    trained = time.process_time()
    kl = solution.certificate().to_dict()["kl"]
    done = time.process_time()
    gap = law.log_prob(fresh) - solution.flow.log_prob(fresh, audit=True).double()
    return {
        "law": name, "rows": rows, "budget": budget, "seed": seed, "label": label,
        "training": round(trained - begun, 1), "certifying": round(done - trained, 1),
        "kl": float(gap.mean()), "kl_error": float(gap.std() / len(gap) ** 0.5),
        "lower": kl["lower"], "estimate": kl["estimate"], "upper": kl["upper"],
    }  # fmt: skip


def text_of(lines: list[dict[str, Any]]) -> str:
    """Return the table, with what is false marked."""
    rows = []
    for r in lines:
        slack, upper = 2 * r["kl_error"], r["upper"]
        false = [side for side, wrong in (
            ("lower", (r["lower"] or 0) > r["kl"] + slack),
            ("upper", upper is not None and upper < r["kl"] - slack),
        ) if wrong]  # fmt: skip
        rows.append((
            r["law"], r["label"], f"{r['training']:g}", f"{r['certifying']:g}",
            f"{r['kl']:.4f} +- {r['kl_error']:.4f}", f"{r['lower'] or 0:.4f}",
            f"{r['estimate'] or 0:.4f}", "-" if upper is None else f"{upper:.3g}", ", ".join(false),
        ))  # fmt: skip
    head = (
        "law", "code", "training", "certifying", "true KL", "at least", "estimate", "upper", "false"
    )  # fmt: skip
    return table(head, rows)


def main() -> None:
    """Measure what is asked for, keep it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="LAW")
    parser.add_argument("--budget", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--label", default="now")
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--out", type=Path, default=HERE / "front_door.jsonl")
    asked = parser.parse_args()
    one_thread()
    for name in [] if asked.table else asked.names or LAWS:
        line = measure(name, asked.rows, asked.budget, asked.seed, asked.label)
        with asked.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)
    lines = [json.loads(line) for line in asked.out.read_text().splitlines()]
    print(text_of(sorted(lines, key=lambda r: r["law"])))


if __name__ == "__main__":
    main()
