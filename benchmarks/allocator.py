"""What glibc's default of giving memory back costs a training step.

    OMP_NUM_THREADS=1 python benchmarks/allocator.py

One training step of the ``ode`` block in fresh processes, with glibc's defaults and with freed
memory kept (``MALLOC_TRIM_THRESHOLD_`` and ``MALLOC_MMAP_THRESHOLD_`` large, or ``mallopt``).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys

from bench import cpu_seconds, machine, one_thread, table
from training_step import backward, jko_loss, make

KEPT = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}


def child(dim: int, width: int, batch: int) -> None:
    """Print CPU milliseconds and page faults of a step in this process."""
    import torch

    one_thread()
    block, x = make(dim, width, 4), torch.randn(batch, dim)
    step = backward(lambda: jko_loss(x, *block(x)), block)
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = cpu_seconds(step, 20)
    print(1e3 * seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)


def fresh(shape: tuple[int, int, int], extra: dict[str, str]) -> tuple[float, float]:
    """Return what a child of its own measures."""
    code = f"import allocator; allocator.child{shape}"
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | extra,
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
    )
    ms, faults = map(float, done.stdout.split())
    return ms, faults


def main() -> None:
    """Print a table: defaults, kept, and the median ratio of the two in one round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    repeats = 1 if parser.parse_args().quick else 5
    one_thread()
    rows = []
    for shape in ((2, 128, 500), (2, 128, 1000), (63, 256, 500)):
        rounds = [(fresh(shape, {}), fresh(shape, KEPT)) for _ in range(repeats)]
        rows.append(
            (
                *shape,
                *(statistics.median(r[k][0] for r in rounds) for k in (0, 1)),
                statistics.median(kept[0] / default[0] for default, kept in rounds),
                *(round(statistics.median(r[k][1] for r in rounds)) for k in (0, 1)),
            )
        )
    head = ("d", "width", "batch", "CPU ms", "kept", "ratio", "page faults a step", "kept")
    print(machine() + "\n\n" + table(head, rows))


if __name__ == "__main__":
    main()
