"""How long it takes to import wopt and to start its commands.

    python benchmarks/startup.py [--repeats 5]

Every line is a process of its own: the least CPU seconds, children included, over the repeats, and
what is above an empty Python.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

from bench import machine, table

COMMANDS = {
    "an empty Python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import wopt": ["-c", "import wopt"],
    "import wopt; wopt.fit": ["-c", "import wopt; wopt.fit"],
    "wopt --help": ["-m", "wopt", "--help"],
    "wopt plugins": ["-m", "wopt", "plugins"],
    "wopt show scheme jko": ["-m", "wopt", "show", "scheme", "jko"],
    "an optimiser of torch": [
        "-c",
        "import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)])",
    ],
    "import matplotlib.figure": ["-c", "import matplotlib.figure"],
}
"""Arguments of Python by what they show."""


def cpu_seconds(arguments: list[str]) -> float:
    """Return the CPU seconds of a Python process with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="once each, to see that it runs")
    asked = parser.parse_args()
    repeats = 1 if asked.quick else asked.repeats
    least = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(repeats):  # in turns, so that a busy minute is busy for all
        for name, arguments in COMMANDS.items():
            least[name] = min(least[name], cpu_seconds(arguments))
    empty = least["an empty Python"]
    print(machine())
    print()
    print(table(("", "CPU s", "above Python"), [(n, s, s - empty) for n, s in least.items()]))


if __name__ == "__main__":
    main()
