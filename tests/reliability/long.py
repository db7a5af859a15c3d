"""A long run: its memory once a minute and once in so many steps, a line of JSON each.

    python tests/reliability/long.py --steps 200 --minutes 60 --out runs/long
    python tests/reliability/long.py --steps 5 --rows 1000000 --out runs/big

What training leaves of the time is slept, so that an hour costs a few minutes of processor time.
"""

import argparse
import json
import resource
import shutil
import threading
import time
from pathlib import Path

import torch

from wopt.config.model import validate
from wopt.interfaces.listener import Listener
from wopt.runs.execute import run_config


def table(steps, rows, iterations):
    """Return a configuration of which every step gains a little: short steps towards noise."""
    sizes = {"n_train": rows, "n_valid": min(rows, 2000), "n_test": min(rows, 2000)}
    return {
        "seed": 0,
        "source": {"name": "toy", "shape": "moons", **sizes},
        "scheme": {"name": "jko", "step_size": 0.02},
        "block": {"name": "ode", "width": 16, "sharpness": 2.0, "steps": 2},
        "solver": {"iterations": iterations, "batch_size": 500},
        "guard": {"standard_errors": 1e9},
        "stop": {"steps": steps},
        "certify": {"enabled": False},
    }


def resident():
    """Return the MiB of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


class Watch(Listener):
    """Keeps lines of how much memory there is when, and sleeps."""

    def __init__(self, out, steps, seconds):
        self.out, self.began = out, time.monotonic()
        self.pause, self.steps, self.at = seconds / steps, steps, 0

    def tell(self, what):
        minutes = (time.monotonic() - self.began) / 60
        line = {
            "what": what, "step": self.at, "minutes": round(minutes, 2),
            "mib": round(resident(), 1),
            "peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "cpu_seconds": round(time.process_time(), 2), "threads": threading.active_count(),
            "files": len(list(Path("/proc/self/fd").iterdir())),
        }  # fmt: skip
        with self.out.open("a") as lines:
            lines.write(json.dumps(line) + "\n")

    def step(self, record):
        self.at = record.step
        if self.at == 1 or self.at % max(1, self.steps // 20) == 0:
            self.tell("step")
        time.sleep(max(0.0, self.began + self.at * self.pause - time.monotonic()))

    def phase(self, what):
        self.tell(what[:40])


def main():
    """Make the run."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--steps", type=int, default=200)
    words.add_argument("--rows", type=int, default=500)
    words.add_argument("--iterations", type=int, default=20)
    words.add_argument("--minutes", type=float, default=0.0)
    words.add_argument("--out", type=Path, required=True)
    asked = words.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    watch = Watch(asked.out / "memory.jsonl", asked.steps, 60 * asked.minutes)

    def minutely():
        while True:
            time.sleep(60)
            watch.tell("minute")

    threading.Thread(target=minutely, daemon=True).start()
    torch.set_num_threads(1)
    watch.tell("imported")
    made = validate(table(asked.steps, asked.rows, asked.iterations))
    result = run_config(made, asked.out / "run", watch)
    watch.tell(f"{result.status}: {result.steps} steps")
    print(result.status, result.reason, result.steps)


if __name__ == "__main__":
    main()
