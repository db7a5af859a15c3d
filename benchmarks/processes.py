"""What an iteration costs by one and by two processes: strong and weak scaling, and messages.

    OMP_NUM_THREADS=1 python benchmarks/processes.py

KL in d = 32 dimensions from a Gaussian, block ``ode`` of width 64. Every figure is the least of
several repetitions, since other work on a machine only adds; processor time is of one process.
"""

import json
import multiprocessing
import os
import socket
import time

import torch

import wopt
from wopt.interfaces.subproblem import Subproblem
from wopt.parallel.launch import launched
from wopt.particles import Particles
from wopt.train.optimisers import adam_and_muon
from wopt.train.wrappers import spread

DIM, WIDTH, REPEATS, ITERATIONS = 32, 64, 4, 3
SIZES = (500, 2000, 4000)


def least(action, count=ITERATIONS, repeats=REPEATS):
    """Return the least wall and processor milliseconds of an action, over repetitions."""
    action()
    wall, cpu = [], []
    for _ in range(repeats):
        began = time.perf_counter(), time.process_time()
        for _ in range(count):
            action()
        wall.append((time.perf_counter() - began[0]) / count)
        cpu.append((time.process_time() - began[1]) / count)
    return round(1e3 * min(wall), 3), round(1e3 * min(cpu), 3)


def iteration(batch, of):
    """Return what makes one iteration of Adam at so many rows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"name": "ode", "width": WIDTH}
        block = wopt.build("block", options).build(dim=DIM)
        x = torch.randn(batch, DIM)
    sub = Subproblem(Particles.start(x), x, 1.0, wopt.build("objective", "kl"))
    optimisers = adam_and_muon(block, 1e-3)

    def step():
        value = sub.loss(spread(block, of))
        value.item()
        block.zero_grad(set_to_none=True)
        value.backward()
        for optimiser in optimisers:
            optimiser.step()

    return block, step


def measured():
    """Return what this process measures in its team."""
    torch.set_num_threads(1)
    found = {}
    with launched(120.0) as of:
        for batch in SIZES:
            block, step = iteration(batch, of)
            found[f"rows {batch}"] = least(step)
        found["parameters"] = sum(p.numel() for p in block.parameters())
        found["weak"] = least(iteration(2000 * of.size, of)[1])
        for size in (10**4, 10**5, 10**6):
            flat = torch.zeros(size)
            found[f"sum of {size}"] = least(lambda flat=flat: of.sum(flat))
            n = size // 33
            own = torch.zeros(n, 33)[of.span(n)]
            found[f"gather of {size}"] = least(lambda own=own, n=n: of.gather(own, n))
    return found


def processes(count):
    """Return what the first of so many processes measures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    answer = context.Queue()

    def work(rank):
        os.environ |= {
            "RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        found = measured()
        if rank == 0:
            answer.put(found)

    all_ = [context.Process(target=work, args=(rank,)) for rank in range(count)]
    for each in all_:
        each.start()
    found = answer.get()
    for each in all_:
        each.join()
    return found


def main():
    """Print a line of JSON a case: milliseconds of wall and processor."""
    for count in (1, 2):
        case = {"processes": count, **processes(count)}
        print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main()
