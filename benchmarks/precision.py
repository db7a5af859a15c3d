"""What an iteration costs in bfloat16 and compiled, as shares of one in float32, in one run.

    OMP_NUM_THREADS=1 python benchmarks/precision.py

KL in d dimensions, block ``ode`` with four steps of RK4, Adam, one thread; the least processor time
of several rounds in which the variants take turns. And the compiler's own time.
"""

import json
import time

import torch

import wopt
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.precision import lowered
from wopt.train.optimisers import adam_and_muon
from wopt.train.wrappers import compiled

CASES = (
    {"dim": 32, "width": 64, "rows": 2000},
    {"dim": 32, "width": 256, "rows": 2000},
    {"dim": 256, "width": 1024, "rows": 1000},
)
COMPILED = CASES[0]
"""The only case that is compiled too, which takes minutes."""
ROUNDS, ITERATIONS = 4, 2
VARIANTS = {"float32": (None, False), "bf16": ("bf16", False), "compiled": (None, True),
            "compiled bf16": ("bf16", True)}  # fmt: skip


def iteration(dim, width, rows):
    """Return what makes one iteration, on a block of its own."""
    torch.manual_seed(0)
    block = wopt.build("block", {"name": "ode", "width": width}).build(dim=dim)
    x = torch.randn(rows, dim)
    sub = Subproblem(Particles.start(x), x, 1.0, wopt.build("objective", "kl"))
    optimisers = adam_and_muon(block, 1e-3)

    def step():
        with lowered(block, block.precision):
            value = sub.loss(block)
            block.zero_grad(set_to_none=True)
            value.backward()
        for optimiser in optimisers:
            optimiser.step()

    return block, step


def measured(case):
    """Return milliseconds of processor an iteration by variant, and of compilers."""
    variants = {k: v for k, v in VARIANTS.items() if case == COMPILED or not v[1]}
    steps = {name: iteration(**case) for name in variants}
    least, first = dict.fromkeys(variants, float("inf")), {}
    for number in range(ROUNDS + 1):
        for name, (precision, code) in variants.items():
            block, step = steps[name]
            block.precision = precision
            with compiled(block, code):
                began, wall = time.process_time(), time.perf_counter()
                for _ in range(ITERATIONS):
                    step()
                spent = 1e3 * (time.process_time() - began) / ITERATIONS
                if number:
                    least[name] = min(least[name], spent)
                else:
                    first[name] = time.perf_counter() - wall
    return {
        "ms": {k: round(v, 1) for k, v in least.items()},
        "ratio": {k: round(v / least["float32"], 2) for k, v in least.items()},
        "seconds of the first two": {k: round(v, 1) for k, v in first.items()},
    }


def main():
    """Print a line of JSON a case."""
    torch.set_num_threads(1)
    for case in CASES:
        print(json.dumps({**case, **measured(case)}), flush=True)


if __name__ == "__main__":
    main()
