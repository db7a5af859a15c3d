"""Runs that are killed at random moments and in the middle of writes, and go on.

Everything is imported once; each command runs in a fork, which is a process of its own to kill.
"""

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import tomli_w
import torch
from zoo import DATA

import wopt.runs.execute  # noqa: F401 - before the forks
from wopt.cli.main import main
from wopt.host import host
from wopt.reading import parsed_json
from wopt.tensors import read_tensors

host()
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TIMES = ("seconds", "cpu_seconds")
CERTIFY = {"particles": 100, "iterations": 2, "transport_rows": 0, "two_sample": False}
EXACT = (
    "config.toml", "data.json", "transform.safetensors", "state.safetensors", "losses.jsonl",
    "figures.safetensors", "samples.npy",
)  # fmt: skip


def table(dtype="float32", *, clock=False):
    """Return a configuration whose certificate has counts of its own, or the clock's."""
    made = {**DATA, "dtype": dtype, "scheme": {"name": "jko", "step_size": [0.5, 1.0, 2.0]}}
    made["solver"] = {"iterations": 25, "batch_size": 50}
    made["stop"] = {"steps": 3}
    made["certify"] = {} if clock else {**CERTIFY, "challenge": False, "budget": 0}
    return made


def fork(words, folder, *, threads=1, at_write=None):
    """Start a command in a fork and return its process id.

    Args:
        words: Of the command.
        folder: Where its output goes.
        threads: Of torch.
        at_write: ``(n, how)``: it kills itself at its n-th write: before the file is there, when
            half of it is written, or after it has its place.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        out = os.open(folder / "out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.set_num_threads(threads)
        if at_write is not None:
            _kill_at(*at_write)
        sys.argv = ["wopt", *map(str, words)]
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(99)


def _kill_at(number, how):
    """Let the n-th write be the last thing that this process does."""
    count, replace = 0, Path.replace

    def killing(self, target):
        nonlocal count
        count += 1
        if count == number and how == "half":
            self.write_bytes(self.read_bytes()[: self.stat().st_size // 2])
        if count == number and how != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        made = replace(self, target)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    Path.replace = killing


def ended(child):
    """Wait, and return the exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finished_steps(run):
    """Return how many steps a run directory says are finished; -1 if it has not begun."""
    if not (run / "state.safetensors").exists():
        return -1
    return parsed_json(read_tensors(run / "state.safetensors")[1]["state"])["step"]


def unbroken(config, folder, threads):
    """Make the run that is not killed, and return its directory and how long it took."""
    began = time.perf_counter()
    status = ended(fork(["run", config, "--out", folder / "run"], folder, threads=threads))
    assert status == 0, (folder / "out.txt").read_text()
    return folder / "run", time.perf_counter() - began


def broken(config, folder, draw, seconds, threads, kills, writes):
    """Make a run that is killed so often, and return how and its directory."""
    run, reported = folder / "run", []
    while True:
        before = finished_steps(run)
        begun = (run / "config.toml").exists()
        words = ["resume", run] if begun else ["run", config, "--out", run]
        last = len(reported) >= kills
        at_write = None
        if not last and draw.random() < writes:
            at_write = (draw.randrange(1, 26), draw.choice(["before", "half", "after"]))
        child = fork(words, folder, threads=threads, at_write=at_write)
        if last:
            status = ended(child)
            assert status == 0, (status, reported, (folder / "out.txt").read_text()[-2000:])
            assert finished_steps(run) >= before, reported
            return run, reported
        how = f"write {at_write}"
        if at_write is None:
            number, moment = draw.choice(SIGNALS), draw.uniform(0.0, 1.15 * seconds)
            time.sleep(moment)
            os.kill(child, number)
            how = f"{number.name} after {moment:.2f} s"
        status = ended(child)
        reported.append(f"{words[0]}: {how}: {status}, step {before} to {finished_steps(run)}")
        assert status != 99, (reported, (folder / "out.txt").read_text()[-2000:])
        assert finished_steps(run) >= before, f"a finished step was lost: {reported}"


def without_times(value):
    """Return a document without times."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def documents(path):
    """Return the lines of a JSON file, without times."""
    text = path.read_text()
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    return [without_times(json.loads(line)) for line in lines]


def differing(run, other):
    """Return the names of files in which two runs differ, by a bit or more; times apart."""
    names = [n for n in EXACT if (run / n).read_bytes() != (other / n).read_bytes()]
    blocks = {p.name for folder in (run, other) for p in (folder / "blocks").iterdir()}
    for name in sorted(blocks):
        one, two = run / "blocks" / name, other / "blocks" / name
        if not (one.exists() and two.exists()) or one.read_bytes() != two.read_bytes():
            names.append(name)
    for name in ("steps.jsonl", "result.json", "certificate.json"):
        one, two = (
            documents(each / name) if (each / name).exists() else None for each in (run, other)
        )
        if one != two:
            names.append(name)
    half = [p.name for p in run.rglob(".*")]
    return names + half


def traceback_in(folder):
    """Return what is after a traceback, if there is one in what commands have printed."""
    found = re.search(r"Traceback.*", (folder / "out.txt").read_text(), re.S)
    return "" if found is None else found[0][-1500:]


def trial(config, reference, seconds, folder, draw, threads, *, kills=2, writes=0.4):
    """Kill a run so often; return how it was killed and in which files it differs at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run, output = broken(config, folder, draw, seconds, threads, kills, writes)
    return output, differing(run, reference), traceback_in(folder)


def write(path, made):
    """Write a configuration and return its path."""
    path.write_text(tomli_w.dumps(made))
    return path
