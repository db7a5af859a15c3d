"""How much of a training step of the ``ode`` block is the matrix products it cannot do without.

    OMP_NUM_THREADS=1 python benchmarks/matmul_share.py

The products are timed alone, in the shapes in which a step needs them, forward and backward, in
the same run. The share of a step is their CPU time by the step's: 1 would be a step that does
nothing else, at the machine's own rate for these shapes. A large square product, in the same turns,
says what the machine can do at best.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from bench import interleaved, keep_memory, machine, one_thread, ratio, table
from training_step import backward, jko_loss, make

STAGES = 4
"""Evaluations of the velocity in an RK4 step."""
LARGE = 1024


def products(dim: int, width: int, batch: int, steps: int) -> tuple[Callable[[], None], float]:
    """Return the matrix products of one training step, and their floating-point operations.

    An evaluation has four products: x W1, a1 W2, s1 M (the divergence) and a2 W3, with M made once
    a step from W1 W3. Backwards each needs one for its input and one for its weights.
    """
    shapes = [(dim, width), (width, width), (width, width), (width, dim)]
    pairs = [(torch.randn(batch, k), torch.randn(k, m), torch.randn(batch, m)) for k, m in shapes]
    out = [(torch.empty(batch, m), torch.empty(batch, k), torch.empty(k, m)) for k, m in shapes]
    w3, w1 = torch.randn(width, dim), torch.randn(dim, width)
    mixed, g3, g1 = torch.empty(width, width), torch.empty(width, dim), torch.empty(dim, width)

    def work() -> None:
        for _ in range(steps * STAGES):
            for (x, w, g), (y, gx, gw) in zip(pairs, out, strict=True):
                torch.mm(x, w, out=y)
                torch.mm(g, w.T, out=gx)
                torch.mm(x.T, g, out=gw)
        torch.mm(w3, w1, out=mixed)
        torch.mm(mixed, w1.T, out=g3)
        torch.mm(w3.T, mixed, out=g1)

    flops = 3 * 2 * (steps * STAGES * sum(batch * k * m for k, m in shapes) + dim * width**2)
    return work, float(flops)


def measure(
    dim: int, width: int, batch: int, steps: int, repeats: int
) -> tuple[float, float, float, float, float]:
    """Return a step's CPU milliseconds, the products' share of it, and three rates in GFLOP/s.

    The rates are those of the step, of its products alone, and of a large square product.
    """
    block, x = make(dim, width, steps), torch.randn(batch, dim)
    work, flops = products(dim, width, batch, steps)
    a, b, out = (torch.randn(LARGE, LARGE) for _ in range(3))
    found = interleaved(
        {
            "products": work,
            "step": backward(lambda: jko_loss(x, *block(x)), block),
            "large": lambda: torch.mm(a, b, out=out),
        },
        repeats,
    )
    ms = {name: statistics.median(times) for name, times in found.items()}
    rates = flops / ms["step"], flops / ms["products"], 2 * LARGE**3 / ms["large"]
    fraction = ratio(found, "products", "step")
    return ms["step"], fraction, rates[0] / 1e6, rates[1] / 1e6, rates[2] / 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 63, 784])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--batches", type=int, nargs="+", default=[500, 4096])
    parser.add_argument("--steps", type=int, default=4, help="RK4 steps")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    one_thread()
    keep_memory()
    rows = [
        (
            dim,
            width,
            batch,
            *measure(dim, width, batch, options.steps, options.repeats),
        )
        for width in options.widths
        for batch in options.batches
        for dim in options.dims
    ]
    head = (
        "d",
        "width",
        "batch",
        "step, CPU ms",
        "share of products",
        "step, GFLOP/s",
        "products alone",
        f"a {LARGE} x {LARGE} product",
    )
    print(f"{machine()}; {options.steps} RK4 steps\n\n" + table(head, rows))


if __name__ == "__main__":
    main()
