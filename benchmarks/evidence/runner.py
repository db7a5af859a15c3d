"""Running rows of evidence by the public command, one line of results a run."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from catalogue import CONFIGS, Job, slug

import wopt
from wopt.files import replacing

__all__ = ["FORMAT", "RESULTS", "measured", "needed", "read", "store", "value_of"]

FORMAT = 1
"""Of a line of results; of another format no line is read, and the page is older than the code."""

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results.jsonl"
RUNS = ROOT / "runs" / "evidence"
Line = dict[str, Any]


def read(path: Path = RESULTS) -> list[Line]:
    """Return the stored runs of this format."""
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [line for line in lines if line["format"] == FORMAT]


def key_of(line: Line) -> tuple[str, str, int]:
    """Return which run of the page a line is."""
    return line["group"], line["problem"], line["seed"]


def store(line: Line, path: Path = RESULTS) -> None:
    """Add a run, in the place of an earlier one of the same problem and seed."""
    lines = [old for old in read(path) if key_of(old) != key_of(line)]
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(one) + "\n" for one in [*lines, line]))


def needed(asked: Iterable[Job], lines: Sequence[Line], *, failed: bool = False) -> list[Job]:
    """Return the jobs that are not stored: as they are now, with all that is read of them.

    Args:
        asked: Jobs.
        lines: Stored runs.
        failed: Also those that failed.
    """
    there = {(*key_of(line), line["digest"]): line for line in lines}
    missing = []
    for job in asked:
        line = there.get((*job.key, job.digest))
        lacks = line is not None and not set(names_of(job)) <= line["values"].keys()
        ended = line is not None and line["status"] == "done"
        if line is None or (ended and lacks) or (failed and not ended):
            missing.append(job)
    return missing


def names_of(job: Job) -> dict[str, str]:
    """Return what is read of a run: names of the results, and where their values are."""
    own = {measure.name: measure.value for measure in job.row.measure}
    return own | {
        f"{measure.name}: {rival.who}": rival.value
        for measure in job.row.measure
        for rival in measure.rivals
    }


def value_of(folder: Path, place: str) -> float:
    """Return a number of a run directory.

    Args:
        folder: The run directory.
        place: ``FILE:KEY.KEY...``; a number is an index, of a ``.jsonl`` file a line.

    Raises:
        LookupError: There is no such file or key, or what is there is no number.
    """
    file, _, keys = place.partition(":")
    path = folder / file
    if not path.exists():
        raise LookupError(f"the run has no {file}")
    text = path.read_text()
    found: Any
    if path.suffix == ".jsonl":
        found = [json.loads(line) for line in text.splitlines()]
    else:
        found = json.loads(text)
    for key in keys.split("."):
        try:
            found = found[int(key) if isinstance(found, list) else key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise LookupError(f"{file} has no {keys}") from None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise LookupError(f"{keys} of {file} is no number: {found!r}")
    return float(found)


def command_of(job: Job, out: Path, folder: Path = CONFIGS) -> list[str]:
    """Return the command of a run, as a user would type it."""
    settings = [*(one.replace("{seed}", str(job.seed)) for one in job.row.set), f"seed={job.seed}"]
    config = str(folder / job.row.config)
    return [
        sys.executable, "-m", "wopt", "run", config, "--out", str(out), "--quiet", "--allow-code",
        *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip


def measured(job: Job, folder: Path = CONFIGS, runs: Path = RUNS, limit: int = 600) -> Line:
    """Make a run and return its line, whatever becomes of it.

    Args:
        job: The row and seed.
        folder: Of the configurations.
        runs: Where run directories are left.
        limit: CPU seconds after which the run is ended.
    """
    out = runs / slug(f"{job.group} {job.row.problem} {job.seed}")
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    code, said, seconds = _run(command_of(job, out, folder), limit)
    values, missing = {}, []
    for name, place in names_of(job).items():
        try:
            values[name] = value_of(out, place)
        except LookupError as error:
            missing.append(str(error))
    why = _reason(code, said, limit, out) if code else "; ".join(dict.fromkeys(missing))
    return {
        "format": FORMAT, "group": job.group, "problem": job.row.problem, "seed": job.seed,
        "digest": job.digest, "status": "failed" if why else "done", "why": why, "values": values,
        "cpu_seconds": round(seconds, 1), "wopt": wopt.__version__, "machine": machine(),
    }  # fmt: skip


def _run(command: Sequence[str], limit: int) -> tuple[int, str, float]:
    """Return exit status, what it said and CPU seconds of a command on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **threads, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 10)),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, done.stderr.strip() or done.stdout.strip(), seconds


def _reason(code: int, said: str, limit: int, out: Path) -> str:
    """Return why a run failed, in a line."""
    if code in (-24, -9):
        return f"ended after {limit} CPU seconds"
    try:
        output = json.loads((out / "result.json").read_text())["reason"]
    except (OSError, KeyError, ValueError):
        output = " ".join(said.split())[-300:]
    return f"exit status {code}: {output}"
