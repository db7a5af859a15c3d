"""Evidence: the field's own problems, run by the public command, beside published figures.

    make evidence ARGS="--group sampling --seeds 0 1"
    python benchmarks/evidence/evidence.py --page

Runs every row of the catalogues (``examples/evidence/*.catalogue.toml``) that is not stored yet,
one after the other on one thread, keeps a line a run in ``results.jsonl`` and writes
``docs/evidence.md`` and its pictures from what is stored. A run that fails is a line that says so;
``--failed`` tries such runs again. What a row runs has changed: it is run anew.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("svg")

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "docs" / "_ext")]

from bench import one_thread  # noqa: E402
from catalogue import Group, Job, groups, jobs  # noqa: E402
from page import number, page  # noqa: E402
from picture import draw  # noqa: E402
from runner import RESULTS, measured, needed, read, store  # noqa: E402

DOCS = HERE.parents[1] / "docs"


def write(found: Sequence[Group], results: Path = RESULTS) -> None:
    """Write the page and its pictures."""
    lines = read(results)
    for group in found:
        draw(group, lines, DOCS / "images")
    (DOCS / "evidence.md").write_text(page(found, lines))


def go(todo: Sequence[Job], results: Path, limit: int) -> None:
    """Make runs, and store and show each as it ends."""
    for k, job in enumerate(todo, 1):
        name = f"[{k}/{len(todo)}] {job.group}: {job.row.problem}, seed {job.seed}"
        print(f"{name} ...", end="", flush=True)
        began = time.perf_counter()
        line = measured(job, limit=limit)
        store(line, results)
        values = ", ".join(f"{name} {number(v)}" for name, v in line["values"].items())
        took = f"{line['cpu_seconds']:.0f} CPU s ({time.perf_counter() - began:.0f} s)"
        print(f"\r{name}: {values or '-'}; {took} {line['why']}", flush=True)


def main() -> None:
    """Run what is asked for and not stored, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--group", nargs="*", default=[], help="only these catalogues")
    parser.add_argument(
        "--row", nargs="*", default=[], help="only problems with one of these words"
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=[], help="only these seeds")
    parser.add_argument("--failed", action="store_true", help="try again what failed")
    parser.add_argument("--again", action="store_true", help="also what is stored")
    parser.add_argument("--list", action="store_true", help="only say what would be run")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--limit", type=int, default=600, help="CPU seconds of a run [600]")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results are stored")
    asked = parser.parse_args()
    one_thread()
    found = groups()
    unknown = set(asked.group) - {group.name for group in found}
    if unknown:
        known = ", ".join(group.name for group in found)
        parser.error(f"no catalogue {', '.join(sorted(unknown))}; there are: {known}")
    chosen = jobs(found, names=asked.group, problems=asked.row, seeds=asked.seeds)
    lines = [] if asked.again else read(asked.out)
    todo = [] if asked.page else needed(chosen, lines, failed=asked.failed)
    if asked.list:
        for job in todo:
            print(f"{job.group}: {job.row.problem}, seed {job.seed} ({job.row.config})")
        return
    try:
        go(todo, asked.out, asked.limit)
    except KeyboardInterrupt:
        print("\ninterrupted; what is stored stays")
    write(found, asked.out)


if __name__ == "__main__":
    main()
