"""The long form of the tests of reliability: kills and damaged files by the hundred and thousand.

    python tests/reliability/soak.py kills --count 100
    python tests/reliability/soak.py files --count 10000

Each trial has a seed of its own and leaves a line in --out, so that the same command goes on where
it was stopped, with the same unbroken runs; --seconds ends it after so much processor time.
Exit status 1: something was wrong.
"""

import argparse
import collections
import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # two threads may have one processor

import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

KINDS = [(dtype, threads) for threads in (1, 1, 2) for dtype in ("float32", "float64")]


def spent():
    """Return the processor seconds of this process and its children."""
    every = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in every)


def kills(seeds, folder, light=False):
    """Yield a line for each run that was killed: one to three times, in each precision."""
    import kills

    known = {}
    for seed in seeds:
        draw = random.Random(seed)
        dtype, threads = KINDS[seed % len(KINDS)]
        place = folder / f"{dtype}-{threads}"
        if place not in known:
            config = place / "config.toml"
            if not (place / "run/report.html").exists():  # else of a soak that was stopped
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir(parents=True)
                kills.unbroken(kills.write(config, kills.table(dtype)), place, threads)
            about = json.loads((place / "run/result.json").read_text())
            known[place] = config, place / "run", about["seconds"] + 2.0
        config, reference, seconds = known[place]
        times = draw.choice([1, 2, 2, 3])
        trial = folder / "trial"
        output, differing, text = kills.trial(
            config, reference, seconds, trial, draw, threads, kills=times
        )
        yield {
            "seed": seed, "dtype": dtype, "threads": threads, "kills": len(output), "how": output,
            "differing": differing, "problem": text,
        }  # fmt: skip


def files(seeds, folder, light=False):
    """Yield a line for each damaged file."""
    import damaged
    from zoo import MAKERS

    originals = {name: folder / name for name in ("data", "mixed", "push_forward")}
    for name, path in originals.items():
        if not (path / "report.html").exists():
            shutil.rmtree(path, ignore_errors=True)
            MAKERS[name](path)
    damaged.limit_memory()
    for seed in seeds:
        kind, how, done, problem = damaged.trial(
            originals, folder / "trial", random.Random(seed), heavy=not light
        )
        yield {"seed": seed, "run": kind, "how": how, "commands": done, "problem": problem}


def told(path):
    """Return the lines of trials that were made before."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main():
    """Make the trials that are left."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("what", choices=["kills", "files"])
    words.add_argument("--count", type=int, help="kills or files in all")
    words.add_argument("--light", action="store_true", help="no commands that take a second")
    words.add_argument("--seconds", type=float, default=float("inf"), help="of processor time")
    words.add_argument("--out", type=Path, help="lines of trials, which is added to")
    asked = words.parse_args()
    torch.set_num_threads(1)
    out = asked.out or Path("runs") / f"soak-{asked.what}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    count = asked.count or {"kills": 100, "files": 10_000}[asked.what]
    before = told(out)
    folder = out.with_suffix(".runs")
    folder.mkdir(exist_ok=True)
    seeds = iter(range(max((line["seed"] for line in before), default=-1) + 1, 10**9))
    size = sum(line.get("kills", 1) for line in before)
    with out.open("a") as lines:
        trials = {"kills": kills, "files": files}[asked.what](seeds, folder, asked.light)
        while size < count and spent() < asked.seconds:
            line = next(trials)
            size += line.get("kills", 1)
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            if line["problem"] or line.get("differing"):
                print(json.dumps(line), flush=True)
    shutil.rmtree(folder / "trial", ignore_errors=True)
    every = told(out)
    wrong = [line for line in every if line["problem"] or line.get("differing")]
    calls = collections.Counter(c[0] for line in every for c in line.get("commands", []))
    print(f"{size} {asked.what} in {len(every)} trials, {len(wrong)} wrong; {spent():.0f} CPU s")
    if calls:
        print("commands: " + ", ".join(f"{name} {n}" for name, n in calls.most_common()))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
