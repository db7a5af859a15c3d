"""Commands on damaged runs, in this process, with limits of time and memory."""

import contextlib
import io
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from mutate import damage

from wopt.cli.main import main

READERS = {
    "config.toml": ["sample", "score", "compare", "report", "cite", "certify"],
    "data.json": ["certify", "resume"],
    "steps.jsonl": ["report", "compare", "resume", "certify"],
    "losses.jsonl": ["report", "resume"],
    "result.json": ["report", "compare", "cite", "certify"],
    "certificate.json": ["report", "compare", "cite", "resume"],
    "state.safetensors": ["sample", "score", "resume", "certify"],
    "transform.safetensors": ["sample", "score", "cite", "resume"],
    "figures.safetensors": ["report", "report", "compare"],
    "001.safetensors": ["sample", "score", "resume", "rescue"],
    "002.safetensors": ["sample", "rescue"],
    "samples.npy": ["report", "score-samples"],
    "log.txt": ["resume"],
    "report.html": ["report", "resume"],
}


class TooLong(BaseException):
    """A command that is not ended after its time."""


def words(verb, run, other, folder):
    """Return the words of a command on a run."""
    out = str(folder / "out.csv")
    return {
        "sample": ["sample", run, "-n", "5", "-o", out],
        "score": ["score", run, folder / "rows.csv", "-o", out],
        "score-samples": ["score", run, run / "samples.npy", "-o", out],
        "compare": ["compare", run, other, "-o", folder / "page.html"],
        "certify": ["certify", run, "--again"],
        "resume": ["resume", run, "--json"],
        "rescue": ["doctor", run, "--rescue", folder / "model.wopt"],
    }.get(verb, [verb, run])


def called(line, seconds):
    """Run a command in this process: its status, what it printed, its processor seconds."""
    out, err, status = io.StringIO(), io.StringIO(), None

    def late(*_):
        raise TooLong

    # A hang in the processor, and one that waits for a pipe.
    before = [signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)]
    began = time.process_time()
    arguments, sys.argv = sys.argv, ["wopt", *map(str, line)]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 20 * seconds)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        status = ended.code
    except TooLong:
        err.write("TOO LONG " + traceback.format_exc())
    except BaseException:
        err.write(traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])
        sys.argv = arguments
    return status, out.getvalue(), err.getvalue(), time.process_time() - began


def limit_memory(more=4 * 2**30):
    """Let this process have so many bytes more than now, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def seen(folder):
    """Return what is in a folder: names, sizes, contents."""
    return sorted((str(p), p.read_bytes() if p.is_file() else b"") for p in folder.rglob("*"))


def wrong(status, out, err, outside, before):
    """Return what a command did that none may do."""
    text = out + err
    if status is None or "Traceback" in text:
        return f"a traceback, or not ended: {err[-900:]}"
    if status not in (0, 1, 2):
        return f"exit status {status}"
    if "\x1b]" in text or "\u202e" in text:
        return f"control characters on the terminal: {text[-300:]!r}"
    if seen(outside) != before:
        return "it wrote outside of the directory"
    if status == 2 and len(err.strip().splitlines()) > 12:
        return f"not one message: {err[-600:]}"
    return ""


HEAVY = {"resume": 0.04, "report": 0.1, "compare": 0.2, "certify": 0.1}
"""How often commands are called that make a page."""


def trial(originals, folder, draw, seconds=20.0, *, heavy=True):
    """Damage a file of a run, call a command or two; return what they were and what was wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    outside = folder / "outside"
    outside.mkdir(parents=True)
    (outside / "precious.txt").write_text("precious")
    kind = draw.choice(list(originals))
    run = Path(shutil.copytree(originals[kind], folder / "run"))
    (folder / "rows.csv").write_text("size,count,kind,share,ok,colour\n0.5,3,a,0.5,true,red\n"
                                     if kind == "mixed" else "x0,x1\n0.5,0.5\n-1,2\n")  # fmt: skip
    files = sorted(p for p in run.rglob("*") if p.is_file() and p.name in READERS)
    path = draw.choice(files)
    how = damage(path, draw, outside)
    before, others = seen(outside), [k for k in originals if k != kind] or [kind]
    verbs = ["doctor"] if draw.random() < 0.7 else []
    verb = draw.choice(READERS[path.name])
    if draw.random() < HEAVY.get(verb, 1.0) and (heavy or verb not in HEAVY):
        verbs.append(verb)
    verbs = verbs or ["doctor"]
    other = originals[draw.choice(others)]
    done, problem = [], ""
    for verb in verbs:
        status, out, err, took = called(words(verb, run, other, folder), seconds)
        done.append((verb, status, took))
        problem = problem or wrong(status, out, err, outside, before)
    return kind, how, done, problem
