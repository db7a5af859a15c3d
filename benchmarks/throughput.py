"""Sampling and scoring of trained models: wopt's flows against zuko's.

    OMP_NUM_THREADS=1 python benchmarks/throughput.py [--quick]

Rows a CPU second, samples with their log-density and log-densities of given rows. The models are of
the sizes that wopt's demo and zuko's defaults have, and briefly trained on the same data, since the
cost of maps that are integrated adaptively depends on what they have learnt. They are not equally
good: this compares speed alone.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from bench import interleaved, keep_memory, machine, one_thread, ratio, table
from torch import Tensor, nn

import wopt

Draw = Callable[[], object]
REFERENCE = "wopt, ode"


def data(dim: int) -> Tensor:
    """Return standardised training rows: moons in the plane, patches of photographs in R^63."""
    name: Any = {"name": "toy", "shape": "moons"} if dim == 2 else "patches"
    rows = wopt.build("source", name).load(0)
    return rows.transform.move(rows.train).float()[:8000]


def jko(x: Tensor, block: dict[str, Any], iterations: int) -> wopt.Flow:
    """Return a flow of three JKO steps."""
    found = wopt.fit(
        x,
        preprocess="none",
        block=block,
        scheme={"name": "jko", "step_size": [1.0, 4.0, 8.0]},
        solver=wopt.InnerSolver(iterations=iterations),
        guard=wopt.Guard(standard_errors=1e9, likelihood_tolerance=0.05),
        stop=wopt.Stop(steps=3),
    )
    assert found.status == "done", found.reason
    return found.flow


def likeliest(flow: Any, x: Tensor, iterations: int) -> Any:
    """Return a flow of zuko, trained by maximum likelihood."""
    optimiser = torch.optim.Adam(flow.parameters(), lr=2e-3)
    for _ in range(iterations):
        optimiser.zero_grad()
        (-flow().log_prob(x[torch.randint(len(x), (500,))]).mean()).backward()
        optimiser.step()
    return flow.eval().requires_grad_(False)


def grids(flow: wopt.Flow) -> str:
    """Return the grids that the guard left."""
    steps = [int(block.get_buffer("steps")) for block in flow.blocks]
    return f"3 blocks, {', '.join(map(str, steps))} RK4 steps"


def measure(dim: int, rows: int, iterations: int, repeats: int) -> list[tuple[object, ...]]:
    """Return a row for each model."""
    import zuko

    torch.manual_seed(0)
    x = data(dim)
    demo = {"name": "ode", "sharpness": 5.0} | ({"width": 256, "steps": 3} if dim > 10 else {})
    ode = jko(x, demo, iterations)
    spline = jko(x, {"name": "spline"}, iterations)
    coupling = jko(x, {"name": "coupling"}, iterations)
    masked = {"name": "autoregressive", "univariate": "spline", "transforms": 1}
    autoregressive = jko(x, masked, iterations)
    nsf = likeliest(zuko.flows.NSF(dim), x, iterations)
    pairs = likeliest(zuko.flows.NSF(dim, passes=2), x, iterations)
    # Trained with Hutchinson's estimate, which is what makes it affordable, and used exactly.
    cnf = likeliest(zuko.flows.CNF(dim, exact=False), x, iterations)
    count = [0]
    cnf.transform.ode.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
    cnf.transform.exact = True

    models: dict[str, tuple[nn.Module, str]] = {
        REFERENCE: (ode, grids(ode)),
        "wopt, ode, audited": (ode, "scored on finer grids"),
        "wopt, spline": (spline, "3 blocks of 2 splines"),
        "wopt, autoregressive": (autoregressive, "3 blocks of a spline"),
        "wopt, coupling": (coupling, "3 blocks of 4 couplings"),
        "zuko, NSF": (nsf, "3 splines"),
        "zuko, NSF, 2 passes": (pairs, "3 splines"),
        "zuko, CNF": (cnf, ""),
    }
    held = x[:rows]

    def drawing(model: Any) -> Draw:
        if isinstance(model, wopt.Flow):
            return lambda: model.sample_and_log_prob(rows)
        return lambda: model().rsample_and_log_prob((rows,))

    def scoring(name: str, model: Any) -> Draw:
        if isinstance(model, wopt.Flow):
            return lambda: model.log_prob(held, audit=name.endswith("audited"))
        return lambda: model().log_prob(held)

    with torch.no_grad():
        drawn = interleaved(
            {n: drawing(m) for n, (m, _) in models.items() if not n.endswith("audited")}, repeats
        )
        scored = interleaved({n: scoring(n, m) for n, (m, _) in models.items()}, repeats)
        count[0] = 0
        scoring("zuko, CNF", cnf)()
    found = []
    for name, (model, note) in models.items():
        speeds: list[object] = []
        for times in (drawn, scored):
            if name in times:
                rate = 1e3 * rows / statistics.median(times[name])
                speeds += [f"{rate:,.0f}", 1 / ratio(times, name, REFERENCE)]
            else:
                speeds += ["", ""]
        size = sum(p.numel() for p in model.parameters())
        note = note or f"exact trace, {count[0]} evaluations to score"
        found.append((name, f"{size:,}", *speeds, note))
    return found


def main() -> None:
    """Print a table for each dimension."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="hardly trained, to see that it runs")
    options = parser.parse_args()
    iterations, rows, repeats = (5, 256, 1) if options.quick else (60, 512, 3)
    one_thread()
    keep_memory()
    print(f"{machine()}; {rows} rows at a time\n")
    head = ("", "parameters", "samples/s", "ratio", "scores/s", "ratio", "")
    for dim in (2, 63):
        rows_of = measure(dim, rows, iterations, repeats)
        print(f"d = {dim}\n\n{table(head, rows_of)}\n", flush=True)


if __name__ == "__main__":
    main()
