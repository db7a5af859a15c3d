"""Training on a device without memory: shapes fit, and nothing is fetched to the CPU on the way.

A tensor of the device ``meta`` has a shape and no values. An operation that mixes it with one of
the CPU, and one that asks for a value (``item``, ``numpy``, a branch), raises. So what passes here
makes no silent transfer between a CUDA device and the host either.
"""

import contextlib
import copy

import pytest
import torch

import wopt
from wopt.host import host
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles

N = 24

FETCHES = {
    "particles": "its nearest particles are found on the CPU",
    "coupling": "zuko's, which masks rows by their values",
    "zuko": "zuko's, which masks rows by their values",
    "mixture": "its search on a line ends when all points have arrived",
}
"""What is known to fetch values at every evaluation: such a block waits for a device."""

DRAWS = {
    "barycenter",
    "dual_f_divergence",
    "energy_distance",
    "mmd",
    "sinkhorn",
    "sliced_wasserstein",
    "wasserstein",
}
"""What draws on the device, for which ``meta`` has no generator: ``test_device.py`` has values."""

FAST = ("ode", "residual", "kl", "potential", "entropy")
"""Of which the fast suite makes sure; the others are slow for their number."""


def entries(kind):
    found = [e for e in host().registry.entries(kind) if e.plugin != "session"]
    marks = {e: [pytest.mark.slow] * (e.name not in FAST) for e in found}
    marked = [pytest.param(e, marks=marks[e], id=e.qualified) for e in found]
    return pytest.mark.parametrize("entry", marked)


def start(d=2):
    x = torch.empty(N, d, device="meta")
    return Particles.start(x, log_density=x.new_empty(N))


def new(name, d=2, **options):
    block = wopt.build("block", {"name": name, **options}).build(dim=d)
    return copy.deepcopy(block).to("meta")


def check(block, sub):
    sub.loss(block).backward()
    assert all(p.grad is None or p.grad.shape == p.shape for p in block.parameters())
    assert any(p.grad is not None for p in block.parameters())


@entries("block")
def test_blocks(entry):
    """All fit, but those that are named fetch values."""
    x = start()
    fetches = pytest.raises(RuntimeError, match=r"meta|nonzero")
    with fetches if entry.name in FETCHES else contextlib.nullcontext():
        check(new(entry.qualified), Subproblem(x, x.points, 1.0, wopt.build("objective", "kl")))


@entries("objective")
def test_objectives(entry):
    cls = host().registry.load("objective", entry.qualified)
    objective = wopt.build("objective", {"name": entry.qualified, **cls.example})
    x = start()
    draws = pytest.raises(RuntimeError, match="META device type not an accelerator")
    with draws if entry.name in DRAWS else contextlib.nullcontext():
        check(new("ode", width=4), Subproblem(x, x.points, 1.0, objective))
