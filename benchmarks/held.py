"""What processes hold of the particles: private memory in a step, by ``run.hold``.

    OMP_NUM_THREADS=1 python benchmarks/held.py [ROWS [COLUMNS]]

A run of three steps on a float32 .npy file by one process and by two; for each process the private
resident memory (RssAnon) in the third step beyond what it was before the run, the most of it, and
the most with the pages of mapped files (VmRSS), which the system takes back where it needs them.
"""

import gc
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from wopt.config.model import validate
from wopt.runs.execute import run_config
from wopt.train.stage import Stage


def resident():
    """Return this process's resident memory, private and all of it, in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS")]


def watched(table, out):
    """Make the run; return the memory in its third step, and the most at any time, in MB."""
    began, seen, most, done = resident(), [], [0.0, 0.0], threading.Event()
    before = Stage.train

    def train(self, previous):
        gc.collect()
        seen.append(resident()[0] - began[0])
        return before(self, previous)

    def watch():
        while not done.wait(0.02):
            most[:] = [max(m, r - b) for m, r, b in zip(most, resident(), began, strict=True)]

    Stage.train = train
    threading.Thread(target=watch, daemon=True).start()
    run_config(validate(table), out, report=False)
    done.set()
    names = ("third step", "most", "most with mapped files")
    return dict(zip(names, [round(n) for n in (seen[2], *most)], strict=True))


def processes(count, table):
    """Return what each of so many processes saw."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    answers = [context.Queue() for _ in range(count)]

    def work(rank, out):
        os.environ |= {
            "RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        answers[rank].put(watched(table, out))

    with tempfile.TemporaryDirectory() as folder:
        all_ = [
            context.Process(target=work, args=(rank, Path(folder) / "run")) for rank in range(count)
        ]
        for each in all_:
            each.start()
        found = [answer.get() for answer in answers]
        for each in all_:
            each.join()
    return found


def main(rows=400_000, columns=32):
    """Print a line of JSON a case."""
    with tempfile.TemporaryDirectory() as folder:
        path, draw = Path(folder) / "rows.npy", np.random.default_rng(0)
        np.save(path, draw.standard_normal((rows, columns), dtype=np.float32))
        cases(path, rows, columns)


def cases(path, rows, columns):
    """Print a line of JSON a case, of a file of rows."""
    table = {
        "source": {"name": "array", "path": str(path), "split": [0.98, 0.01, 0.01]},
        "guard": {"rows": 500},
        "block": {"name": "ode", "width": 16, "steps": 1, "net": "gradient"},
        "solver": {"iterations": 20, "batch_size": 500},
        "stop": {"steps": 3},
        "certify": {"enabled": False},
    }  # fmt: skip
    for count, hold in ((1, "all"), (2, "all"), (2, "shard")):
        found = processes(count, {**table, "run": {"hold": hold}})
        case = {"processes": count, "hold": hold, "rows": rows, "columns": columns}
        print(
            json.dumps({**case, "particles MB": rows * columns * 4 / 1e6, "MB": found}), flush=True
        )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
