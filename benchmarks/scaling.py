"""What an outer step costs, against its index and against the number of particles.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py [--quick]

The problem is a Gaussian in 10 dimensions, carried to the standard one by small JKO steps of one
size with the ``ode`` block and a fixed number of inner iterations, so that steps differ by nothing
but what is asked about. Sizes run in fresh processes, whose memory is theirs alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from bench import cpu_seconds, keep_memory, machine, memory, one_thread, table
from torch import nn

import wopt
from wopt.push import push
from wopt.train.problem import Problem

DIM, WIDTH, ITERATIONS, VALID = 10, 64, 20, 1000


def problem(steps: int) -> Problem:
    """Return the problem with steps of one size."""
    return Problem(
        wopt.build("objective", "kl"),
        wopt.build("scheme", {"name": "jko", "step_size": 0.05}),
        wopt.build("block", {"name": "ode", "width": WIDTH, "sharpness": 2.0}),
        wopt.InnerSolver(iterations=ITERATIONS, batch_size=500, learning_rate=1e-3),
        stop=wopt.Stop(steps=steps),
    )


def start(n: int, seed: int) -> wopt.Particles:
    """Return ``n`` particles of N(1, 4 I), made in place."""
    rng = torch.Generator().manual_seed(seed)
    return wopt.Particles.start(torch.randn(n, DIM, generator=rng).mul_(2).add_(1))


def warm_up() -> None:
    """Make a step, so that what is loaded and allocated but once is so."""
    reported = problem(1)
    for _ in wopt.iterate(reported, reported.begin(start(1000, 0), start(VALID, 1))):
        pass


def by_index(steps: int, n: int = 4000) -> dict[str, Any]:
    """Return CPU seconds and memory (MiB of the process) after each of many steps."""
    warm_up()
    reported = problem(steps)
    flow, seconds, used = nn.ModuleList(), [], []
    for state, record in wopt.iterate(reported, reported.begin(start(n, 0), start(VALID, 1))):
        assert state.block is not None
        flow.append(state.block)  # kept, as by solve
        seconds.append(record.cpu_seconds)
        used.append(memory("VmRSS"))
    size = sum(p.numel() * p.element_size() for p in flow.parameters()) / 2**20
    return {"seconds": seconds, "memory": used, "blocks": size}


def by_particles(n: int) -> dict[str, float]:
    """Return what a step with ``n`` training particles costs, and the carrying of them alone."""
    warm_up()
    reported = problem(2)
    train, valid = start(n, 0), start(VALID, 1)
    points = train.points.numel() * train.points.element_size() / 2**20
    before = memory("VmRSS")
    steps = list(wopt.iterate(reported, reported.begin(train, valid)))
    state, record = steps[-1]
    block = state.block
    assert block is not None
    grown = memory("VmHWM") - before
    carry = cpu_seconds(lambda: push(block, train), max(1, 10**5 // n))
    return {"step": record.cpu_seconds, "carry": carry, "points": points, "grown": grown}


def mapped(n: int, dim: int = 64) -> dict[str, float]:
    """Return the memory that carrying particles takes whose points lie in a mapped file."""
    block = wopt.build("block", {"name": "ode", "width": 16}).build(dim=dim).freeze()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "points")
        points = torch.from_file(path, shared=True, size=n * dim).view(n, dim)
        for rows in points.split(2**14):
            rows.normal_()
        push(block, wopt.Particles.start(points[: 2**14]))  # what does not depend on n
        before = memory("RssAnon")
        moved = push(block, wopt.Particles.start(points))
        grown = memory("RssAnon") - before
        return {"points": moved.points.numel() * 4 / 2**20, "grown": grown}


def fresh(call: str) -> dict[str, Any]:
    """Return what a call of this module answers in a process of its own."""
    code = (
        "import bench, json, scaling\n"
        "bench.one_thread(); bench.keep_memory()\n"
        f"print(json.dumps(scaling.{call}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def index_table(found: dict[str, Any]) -> str:
    """Return medians over windows of steps, against the first window."""
    steps, window = len(found["seconds"]), max(1, len(found["seconds"]) // 5)
    rows = []
    for first in range(0, steps, window):
        part = slice(first, first + window)
        seconds = statistics.median(found["seconds"][part])
        rows.append(
            (
                f"{first + 1} to {min(first + window, steps)}",
                seconds,
                seconds / statistics.median(found["seconds"][:window]),
                found["memory"][part][-1],
            )
        )
    return table(("steps", "CPU s a step", "ratio to the first", "process MiB"), rows)


def particles_table(sizes: Sequence[int], rounds: int) -> str:
    """Return medians over rounds; in a round the sizes are measured in turn."""
    found = [{n: fresh(f"by_particles({n})") for n in sizes} for _ in range(rounds)]
    rows, largest = [], sizes[-1]
    for n in sizes:

        def middle(key: str, n: int = n) -> float:
            return statistics.median(one[n][key] for one in found)

        per_particle = ((one[n]["carry"] / n) / (one[largest]["carry"] / largest) for one in found)
        rows.append(
            (
                f"{n:,}",
                middle("step"),
                middle("step") - middle("carry"),
                1e6 * middle("carry") / n,
                statistics.median(per_particle),
                middle("points"),
                middle("grown"),
            )
        )
    head = (
        "particles",
        "CPU s a step",
        "without carrying",
        "carrying, us a particle",
        "ratio to the largest",
        "points MiB",
        "peak above start MiB",
    )
    return table(head, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    options = parser.parse_args()
    steps, rounds = (5, 1) if options.quick else (50, 3)
    sizes = [1000, 4000] if options.quick else [10**3, 10**4, 10**5, 10**6]
    one_thread()
    keep_memory()
    print(f"{machine()}; d = {DIM}, width {WIDTH}, {ITERATIONS} inner iterations of 500\n")
    found = by_index(steps)
    print("Cost against the index of a step\n\n" + index_table(found))
    print(f"\nAll {steps} blocks together are {found['blocks']:.3g} MiB.\n", flush=True)
    print("Cost against the number of particles\n\n" + particles_table(sizes, rounds))
    one = fresh(f"mapped({2**16 if options.quick else 2**20})")
    print(
        f"\nPoints in a mapped file, {one['points']:.4g} MiB: carrying them takes "
        f"{one['grown']:.4g} MiB of the process's own memory."
    )


if __name__ == "__main__":
    main()
