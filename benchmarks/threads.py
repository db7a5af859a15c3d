"""What a run costs with torch's number of threads and with the one that is measured to pay.

    python benchmarks/threads.py [--iterations 150] [--width 128] [--batch 500] [--at-once 3]

One step of the block ``ode`` (5 columns, 4,000 rows) is made by one process, and by several at
once. Each process is ready before the clock begins. *torch's* threads wait as OpenMP has it, and
*passive* ones as wopt does. Set neither ``OMP_NUM_THREADS`` nor ``MKL_NUM_THREADS``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from bench import table

WAYS = ("the choice", "torch's threads, passive", "torch's threads")
_OF_OPENMP = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")

CHILD = """
import json, sys, time
import {first}
import torch, wopt
from wopt.runs import threads

about = json.loads(sys.argv[1])
if not about["chosen"]:  # as if the user had set torch's number
    threads._own_numbers = set
x = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0))
x[:, 1:] += torch.sin(2 * x[:, :-1])
print("ready", flush=True)
sys.stdin.readline()
wall, cpu = time.perf_counter(), time.process_time()
solution = wopt.fit(
    x, block={{"name": "ode", "width": about["width"]}}, stop={{"steps": 1}}, listener=False,
    solver={{"iterations": about["iterations"], "batch_size": about["batch"]}},
)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, solution.prepared.config.run.threads]))
"""


def begun(way: str, about: dict[str, int]) -> subprocess.Popen[str]:
    """Return a process that is ready to train in one of the ways."""
    environment = {key: value for key, value in os.environ.items() if key not in _OF_OPENMP}
    # OpenMP reads how its threads wait when torch is imported: before wopt says it, or after.
    first = "torch" if way == WAYS[2] else "wopt"
    text, summary = CHILD.format(first=first), json.dumps(about | {"chosen": way == WAYS[0]})
    process = subprocess.Popen(
        [sys.executable, "-c", text, summary],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise SystemExit("a process did not begin")
    return process


def measured(way: str, about: dict[str, int], count: int) -> tuple[float, float, str]:
    """Return the wall seconds of so many processes, the mean CPU seconds of one, the threads."""
    processes = [begun(way, about) for _ in range(count)]
    began = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reported = [json.loads(process.communicate()[0]) for process in processes]
    wall = time.perf_counter() - began
    numbers = ", ".join(str(number) for *_, number in reported)
    return wall, sum(cpu for _, cpu, _ in reported) / count, numbers


def main() -> None:
    """Print seconds, and ratios to the choice alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, number in (("iterations", 150), ("width", 128), ("batch", 500), ("at-once", 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    options = vars(parser.parse_args())
    several = options.pop("at_once")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    rows: list[tuple[object, ...]] = []
    alone: tuple[float, float] | None = None
    for count in (1, several):
        for way in WAYS:
            wall, cpu, numbers = measured(way, options, count)
            alone = alone or (wall, cpu)
            rows.append((count, way, numbers, wall, cpu, wall / alone[0], cpu / alone[1]))
            print(*rows[-1], sep=", ", file=sys.stderr, flush=True)
    head = ("runs at once", "threads", "number", "wall s", "CPU s a run", "wall ratio", "CPU ratio")
    print(table(head, rows))


if __name__ == "__main__":
    main()
