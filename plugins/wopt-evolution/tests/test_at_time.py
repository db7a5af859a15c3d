"""Particles at any time of a flow whose steps have times: places, velocities, mistakes."""

import math

import numpy as np
import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.runs.loading import LoadedRun
from wopt.testing import AffineBlock
from wopt_evolution.populations import at_times
from wopt_evolution.snapshots import EvolutionClock, LeftOut, MeasuredPopulations, PopulationsReport
from wopt_evolution.times import write_times

UNITS = wopt.AffineTransform(
    torch.tensor([1.0, 2.0]).double(), torch.eye(2).double() / 4, torch.eye(2).double() * 4
)


@pytest.fixture
def flow():
    """Return a flow that moves by (4, 0) in a first step and by (0, 8) in a second."""
    blocks = [AffineBlock(2).double(), AffineBlock(2).double()]
    blocks[0].shift.data[0] = 1.0  # in coordinates of four units
    blocks[1].shift.data[1] = 2.0
    return wopt.Flow(wopt.Chain(blocks, UNITS), None)


def test_places_and_velocities_of_two_shifts(flow):
    clock, x = EvolutionClock((0.0, 2.0, 6.0)), torch.zeros(3, 2).double()
    where, speed = at_times(flow, clock, x, 0.0, [0.0, 1.0, 2.0, 3.0, 6.0])
    assert where[:, 0].tolist() == [[0, 0], [2, 0], [4, 0], [4, 2], [4, 8]]
    assert speed[:, 1].tolist() == [[2, 0], [2, 0], [2, 0], [0, 2], [0, 2]]


def test_particles_that_begin_later_skip_the_steps_before(flow):
    clock, x = EvolutionClock((0.0, 2.0, 6.0)), torch.zeros(1, 2).double()
    where, speed = at_times(flow, clock, x, 2.0, [4.0, 2.0])
    assert where[:, 0].tolist() == [[0, 4], [0, 0]]
    assert speed[:, 0].tolist() == [[0, 2], [0, 2]]  # also at once: no step has led there


def test_particles_that_begin_at_the_end_stay(flow):
    where, speed = at_times(flow, EvolutionClock((0.0, 2.0, 6.0)), torch.ones(3, 2), 6.0, [6.0])
    assert where.tolist() == torch.ones(1, 3, 2).tolist()
    assert speed.tolist() == torch.zeros(1, 3, 2).tolist()


def test_times_that_are_not_covered(flow):
    clock, x = EvolutionClock((0.0, 2.0, 6.0)), torch.zeros(1, 2)
    for times, says in (([7.0], "0 to 6"), ([-1.0], "0 to 6"), ([1.0], "is before 2")):
        with pytest.raises(wopt.DataError, match=says):
            at_times(flow, clock, x, 2.0, times)
    with pytest.raises(wopt.DataError, match="0 to 0"):
        EvolutionClock((0.0,)).place(0.0)


def test_a_clock_ends_where_the_steps_do():
    rows = torch.zeros(1, 1)
    three = MeasuredPopulations((0.0, 1.0, 4.0), (rows, rows + 1, rows + 2), 2)
    assert three.clock(4).times == (0.0, 0.5, 1.0, 2.5, 4.0)
    assert three.clock(3).times == (0.0, 0.5, 1.0, 2.5)
    assert three.clock(9).times == three.clock(4).times
    assert [three.before(t)[0] for t in (-1.0, 0.0, 1.0, 3.9, 4.0)] == [0.0, 0.0, 1.0, 1.0, 4.0]


def test_a_run_without_snapshots_has_no_times(flow, tmp_path):
    run = LoadedRun(validate({"source": {"name": "toy"}}), flow, ("a", "b"))
    with pytest.raises(wopt.CapabilityError, match="`snapshots`"):
        write_times(run, tmp_path, tmp_path / "x.csv", 5, [1.0], 0, velocities=False)


EVOLUTION = {
    "dtype": "float64",
    "source": {"name": "density", "law": {"name": "gaussian"}, "rule": "radial", "nodes": 2},
    "objective": {"name": "kl", "target": {"name": "gaussian", "scale": 0.5}},
    "scheme": {"name": "jko", "step_size": 0.5},
    "block": {"name": "affine"},
    "solver": {"optimiser": "lbfgs", "iterations": 40},
    "stop": {"time": 1.0},
    "certify": {"enabled": False},
}


def test_particles_of_an_evolution(command, config, tmp_path):
    run, out = tmp_path / "run", tmp_path / "x.npy"
    assert command("run", config(EVOLUTION), "--out", run, "-q").status == 0
    wanted = "--time", 0, "--time", 0.25, "--time", 0.5, "--velocities"
    assert command("sample", run, "-n", 50, "-o", out, *wanted).status == 0
    rows = np.load(out).reshape(3, 50, 6)
    assert rows[:, 0, 1].tolist() == [0.0, 0.25, 0.5]
    # The step from N(0, I) with h = 1/2 to N(0, I/4): (s - 1)/h = 1/s - 4 s.
    s = (1 + math.sqrt(1 + 6)) / 6
    start, middle, end = rows[..., 2:4]
    assert np.allclose(end, s * start, atol=1e-6)
    assert np.allclose(middle, (1 + s) / 2 * start, atol=1e-6)
    assert np.allclose(rows[..., 4:], (end - start) / 0.5, atol=1e-6)
    answer = command("sample", run, "-n", 5, "-o", out, "--time", 1.5)
    assert answer.status == 2
    assert "0 to 1" in answer.err


def test_what_is_measured_is_read_back():
    left = LeftOut(1.0, 9, *(float(k) for k in range(10)))
    report = PopulationsReport((0.0, 2.0), (0.5,), (left,))
    assert PopulationsReport.from_dict(report.to_dict()) == report
