"""All benchmarks, each in a process of its own: the tables of docs/benchmarks.md.

python benchmarks/run.py [training_step matmul_share ...] [--quick] [-o FILE]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

TITLES = {
    "training_step": "A training step",
    "matmul_share": "The share of the matrix products",
    "scaling": "Cost of an outer step",
    "autoregressive": "Autoregressive maps",
    "throughput": "Sampling and scoring",
    "allocator": "Memory given back by glibc",
    "startup": "Import and start",
    "overhead": "A run beside its training",
    "curves": "Curves inside a run, over five seeds",
}
QUICK = {
    "training_step": ["--dims", "2", "--width", "16", "--batch", "100", "--repeats", "1"],
    "matmul_share": ["--dims", "2", "--widths", "16", "--batches", "100", "--repeats", "1"],
    "scaling": ["--quick"],
    "autoregressive": ["--quick"],
    "throughput": ["--quick"],
    "allocator": ["--quick"],
    "startup": ["--quick"],
    "overhead": ["--quick"],
    "curves": ["--quick"],
}


def main() -> int:
    """Run the scripts and pass on what they print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(TITLES)}; all without")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("-o", "--output", type=Path, help="write the tables to a file too")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in TITLES]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; known: {', '.join(TITLES)}")
    pages, failed = [], []
    for name in options.names or TITLES:
        script = Path(__file__).with_name(f"{name}.py")
        done = subprocess.run(
            [sys.executable, str(script), *(QUICK[name] if options.quick else [])],
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        pages.append(f"## {TITLES[name]}\n\n{done.stdout.rstrip()}\n")
        print(pages[-1], flush=True)
        if done.returncode:
            failed.append(name)
    if options.output:
        options.output.write_text("\n".join(pages), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
