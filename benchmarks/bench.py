"""What the benchmarks share: CPU time of rivals in turn, medians, tables.

Timings of a shared machine drift. So rivals are measured in one run, in turn, by the process's own
CPU time on one thread, and it is their ratios that are worth telling.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

__all__ = [
    "cpu_seconds",
    "interleaved",
    "keep_memory",
    "machine",
    "memory",
    "one_thread",
    "ratio",
    "table",
]


_SLOW = 1.0
"""CPU seconds beyond which a call needs no other before it to be representative."""


def one_thread() -> None:
    """Use one thread, so that CPU time is that of the work and not of waiting threads."""
    torch.set_num_threads(1)


def keep_memory() -> bool:
    """Let glibc keep freed memory; return whether it could be asked to.

    By default it gives the large temporaries of a step back to the system and faults the pages in
    again in the next: up to a third of the CPU time, more or less by chance (see allocator.py).
    """
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, mmap_threshold = -1, -3
    return bool(set_option(trim_threshold, 2**30) and set_option(mmap_threshold, 2**30))


def cpu_seconds(work: Callable[[], object], number: int = 1) -> float:
    """Return the CPU seconds of one call, the mean of ``number`` in a row."""
    began = time.process_time()
    for _ in range(number):
        work()
    return (time.process_time() - began) / number


def interleaved(
    rivals: Mapping[str, Callable[[], object]], repeats: int = 7, least: float = 0.2
) -> dict[str, list[float]]:
    """Return the CPU milliseconds of each rival in every round, measured in turn.

    Args:
        rivals: What to call, by name; quick ones are also called before, unmeasured.
        repeats: Rounds; every round measures every rival once.
        least: CPU seconds that one measurement takes at least, by repeated calls.
    """
    numbers, slow = {}, set()
    for name, work in rivals.items():
        if cpu_seconds(work) > _SLOW:
            numbers[name] = 1
            slow.add(name)
        else:
            numbers[name] = max(1, round(least / max(cpu_seconds(work), 1e-6)))
    found: dict[str, list[float]] = {name: [] for name in rivals}
    gc.collect()
    for _ in range(repeats):
        for name, work in rivals.items():
            if name not in slow:
                work()  # so that caches and allocator are those of its repetition, as in training
            found[name].append(1e3 * cpu_seconds(work, numbers[name]))
    return found


def ratio(found: Mapping[str, list[float]], name: str, reference: str) -> float:
    """Return the median over rounds of a rival's time by the reference's of the same round."""
    pairs = zip(found[name], found[reference], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def memory(key: str) -> float:
    """Return the MiB of a line of Linux's account of this process: VmRSS, VmHWM, RssAnon, ...

    VmHWM is the most that VmRSS has been.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise KeyError(f"{key} is no line of /proc/self/status")


def machine() -> str:
    """Return the processor, torch and the number of threads, in a line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return (
        f"{name}, torch {torch.__version__.partition('+')[0]}, {torch.get_num_threads()} thread(s)"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; floats are shown to three figures."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "-" if value != value else f"{value:.3g}"
        return str(value)

    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit("a module of helpers; run the other files of this folder")
