"""Carrying particles in chunks: the same values, and what lies in a mapped file stays in one."""

import numpy as np
import pytest
import torch

import wopt
from wopt.push import in_batches, push
from wopt.testing import AffineBlock


@pytest.fixture
def mapped(tmp_path):
    """Return rows in a file that is mapped into memory."""
    rows = np.random.default_rng(0).normal(size=(20_000, 3))
    rows.tofile(tmp_path / "rows")
    path = str(tmp_path / "rows")
    return torch.from_file(path, shared=True, size=60_000, dtype=torch.float64).view(20_000, 3)


def in_a_file(x):
    return x.untyped_storage().filename is not None


@pytest.mark.parametrize("rows", [1, 7, 999, 5000, 9999])
def test_chunks_change_no_value(rows):
    x = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    y, size = in_batches(lambda part: (part.exp(), part.sum(1)), x, rows=rows)
    assert torch.equal(y, x.exp())
    assert torch.equal(size, x.sum(1))
    assert torch.equal(in_batches(torch.sin, x, rows=rows), x.sin())
    assert not in_a_file(y)


def test_results_of_mapped_rows_are_mapped(mapped):
    y, size = in_batches(lambda part: (part.exp(), part.sum(1)), mapped, rows=1000)
    assert in_a_file(y)
    assert in_a_file(size)
    assert torch.equal(y, mapped.exp())
    assert torch.equal(size, mapped.sum(1))


def test_mapped_particles_are_carried_by_jko_to_mapped_ones(mapped):
    start = wopt.Particles.start(mapped)
    found = wopt.solve(
        start,
        valid=start.rows(slice(500)),
        block=AffineBlock(3),
        solver=wopt.InnerSolver(iterations=20, batch_size=100),
        stop=wopt.Stop(steps=2),
    )
    trace = found.state.train
    assert in_a_file(trace.particles.points)
    assert trace.previous is None  # jko does not look back
    again = start
    for block in found.flow.blocks:
        again = push(block, again)
    assert torch.equal(again.points, trace.particles.points)
