"""A small run, made by several forked processes, and what it is to leave."""

import multiprocessing
import os
import socket
import time

import torch
from zoo import SHARDED

from wopt.store.directory import RunDirectory
from wopt.tensors import read_tensors

LIMIT = 60.0
"""Seconds after which a process is taken to hang, which fails a test."""

TABLE = SHARDED
FILES = ("blocks/001", "blocks/002", "blocks/003", "state")


def together(task, count=2, **environment):
    """Run a task in forked processes of one team; return what each returned, or its signal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    answers = [context.Queue() for _ in range(count)]

    def work(rank):
        os.environ |= {
            "RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", **environment,
        }  # fmt: skip
        try:
            answer = task(rank)
        except (Exception, SystemExit) as error:
            answer = error
        answers[rank].put(answer)

    processes = [context.Process(target=work, args=(rank,)) for rank in range(count)]
    end = time.monotonic() + LIMIT
    for process in processes:
        process.start()
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    late = [process for process in processes if process.exitcode is None]
    for process in late:
        process.kill()
        process.join()
    assert not late, f"{len(late)} of {count} processes hang"
    return [
        answer.get(timeout=5) if process.exitcode == 0 else process.exitcode
        for answer, process in zip(answers, processes, strict=True)
    ]


def near(one, other, files=FILES[:3]):
    """Check that two runs left the same maps and records, to rounding."""
    same(one, other, files, lambda a, b: torch.allclose(a, b, rtol=1e-7, atol=1e-9))


def same(one, other, files=FILES, equal=torch.equal):
    """Check that two runs left the same bits, and made the same records but for time."""
    for file in files:
        first, second = (read_tensors(at / f"{file}.safetensors")[0] for at in (one, other))
        assert first.keys() == second.keys()
        assert all(equal(first[key], second[key]) for key in first), file
    for first, second in zip(*(RunDirectory(at).read_steps() for at in (one, other)), strict=True):
        assert first.iterations == second.iterations
        for name in ("energy", "decrease", "nll_valid", "loss"):
            a, b = (torch.tensor(getattr(record, name)) for record in (first, second))
            assert equal(a, b), name
