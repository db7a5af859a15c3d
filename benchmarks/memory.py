"""More data than memory: a run of many rows by a process that is held to a budget.

    python benchmarks/memory.py [ROWS [COLUMNS [GIGABYTES]]]

Writes rows, imports torch and the parts of a run, forbids more than the budget of private memory
beside what these hold (RLIMIT_DATA), makes a run of three steps and says what it took.
"""

import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

PIECE = 2**18


def write(path, rows, columns):
    """Write a curved law of correlated columns, float32."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(columns, columns)).astype(np.float32) / np.sqrt(columns)
    x = np.lib.format.open_memmap(path, "w+", np.float32, (rows, columns))
    for start in range(0, rows, PIECE):
        z = rng.standard_normal((min(PIECE, rows - start), columns), dtype=np.float32)
        z[:, 0] += np.square(z[:, 1])
        x[start : start + PIECE] = z @ mix.T
    x.flush()


def status():
    """Return this process's memory, in MB: private and resident, private, peak resident."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(lines[key].split()[0]) / 1024 for key in ("RssAnon", "VmData", "VmHWM")}


def main(rows=5_000_000, columns=32, gigabytes=1.0):
    """Make the run and print one JSON object."""
    from wopt.config.model import validate
    from wopt.runs.execute import run_config

    config = {
        "block": {"name": "ode", "width": 16, "steps": 1},
        "scheme": {"name": "jko", "step_size": 1.0},
        "solver": {"iterations": 100, "batch_size": 1000},
        "guard": {"rows": 5000},
        "stop": {"steps": 3},
        "certify": {"enabled": False},
        "run": {"memory": f"{gigabytes}GB"},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        write(path, rows, columns)
        toy = {**config, "source": {"name": "toy"}, "stop": {"steps": 1}}
        run_config(validate(toy), Path(folder) / "toy", report=False)  # all that is imported, is
        own = status()
        limit = int((own["VmData"] + 1000 * gigabytes) * 1e6)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        most, done = [0.0], threading.Event()

        def watch():
            while not done.wait(0.05):
                most[0] = max(most[0], status()["RssAnon"])

        threading.Thread(target=watch, daemon=True).start()
        began, cpu = time.perf_counter(), time.process_time()
        source = {"name": "array", "path": str(path)}
        result = run_config(
            validate({**config, "source": source}), Path(folder) / "run", report=False
        )
        done.set()
        print(json.dumps({
            "rows": rows, "columns": columns, "status": result.status, "steps": result.steps,
            "nll_test": result.nll_test, "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu, "torch_mb": own["RssAnon"],
            "most_private_mb": most[0], "private_limit_mb": limit / 1e6,
            "peak_resident_mb": status()["VmHWM"], "data_mb": rows * columns * 4 / 1e6,
        }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main(*(float(a) if k == 2 else int(a) for k, a in enumerate(sys.argv[1:])))
