"""Populations in time: the way to them, what is measured of it, and what nobody may look at."""

import csv
import dataclasses
import json
import math

import numpy as np
import pytest
import torch

import wopt
from wopt.errors import Converged
from wopt.runs.loading import Fingerprint
from wopt_evolution import MeasuredPopulations
from wopt_geomloss.populations.arrival import Arrival
from wopt_geomloss.populations.judge import (
    displacement_interpolation,
    judged_populations,
    wasserstein_distances,
)
from wopt_geomloss.populations.legs import legs_of
from wopt_geomloss.populations.source import SnapshotsSource

SHIFT = np.array([3.0, 1.0])


def write(path, populations):
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["a", "day", "b"])
        table.writerows([x[0], day, x[1]] for day, rows in populations.items() for x in rows)
    return path


@pytest.fixture
def cells(tmp_path):
    """Return a table of a normal population that moves by SHIFT in two days."""
    first = np.random.default_rng(0).normal(size=(150, 2))
    days = {0: first, 1: first[:80] + SHIFT / 2 + 0.5, 2: first[::-1] + SHIFT}
    return write(tmp_path / "cells.csv", days)


def source(path, **options):
    return SnapshotsSource(path=path, time="day", **options)


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_exact_steps_arrive_at_constant_speed(steps, factor):
    """The exact JKO step of c W_2^2(., q)/2 goes ch/(1 + ch) of the way to q: theory 2, row 16."""
    rule, at = Arrival(steps=steps, factor=factor, last=1e9), 0.0
    for step in range(steps):
        h = factor * rule(step)
        at += (1 - at) * h / (1 + h)
        assert at == pytest.approx((step + 1) / steps)
    assert rule(steps) == rule(0)


def test_a_left_out_population_changes_nothing(cells, tmp_path):
    """Neither the rows that are trained on nor the coordinates."""
    known = source(cells, leave_out=[1])
    both = zip(known.snapshots().times, known.snapshots().rows, strict=True)
    other = {time: rows.tolist() for time, rows in both}
    moved = write(tmp_path / "moved.csv", {**other, 1: 100 * np.ones((5, 2))})
    for first, second in zip(
        known.snapshots().rows, source(moved, leave_out=[1]).snapshots().rows, strict=True
    ):
        assert torch.allclose(first, second)
    a, b = known.load(0), source(moved, leave_out=[1]).load(0)
    assert torch.allclose(a.train, b.train)
    assert torch.allclose(a.transform.matrix, b.transform.matrix)
    assert known.snapshots().times == (0.0, 2.0)
    assert known.snapshots().left_out[0][0] == 1.0
    assert a.names == ("a", "b")


def test_coordinates_keep_ratios_of_distances(cells):
    data = source(cells).load(0)
    assert len(data.train) + len(data.valid) + len(data.test) == 150
    separation, inside = (torch.pdist(x) for x in (data.test, data.transform.move(data.test)))
    assert torch.allclose(separation / inside, (separation / inside)[0])


def test_other_later_populations_are_other_data(cells, tmp_path):
    made = source(cells, leave_out=[1])
    before = Fingerprint.of(made.load(0), made)
    first, last = (rows.tolist() for rows in made.snapshots().rows)
    other = source(write(tmp_path / "b.csv", {0: first, 1: first, 2: last[1:]}), leave_out=[1])
    assert before.differs(Fingerprint.of(other.load(0), other)) == "299 rows in place of 300"
    other = source(write(tmp_path / "b.csv", {0: first, 1: first, 2: last[::-1]}), leave_out=[1])
    assert before.differs(Fingerprint.of(other.load(0), other)) == "other values in column(s) a, b"
    same = source(write(tmp_path / "c.csv", {0: first, 1: last, 2: last}), leave_out=[1])
    assert not before.differs(Fingerprint.of(same.load(0), same))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"leave_out": [5]}, r"no rows of time 5; there are those of 0, 1, 2"),
        ({"leave_out": [0, 1]}, r"1 time to train on"),
        ({"time": "hour"}, r"hour"),
        ({"columns": ["c"]}, r"c"),
    ],
)
def test_mistakes_are_told(cells, options, says):
    with pytest.raises(wopt.DataError, match=says):
        wopt.build("source", {"name": "snapshots", "path": cells, "time": "day", **options}).load(0)


def test_each_leg_has_its_population(cells):
    made = source(cells, steps=2)
    data = made.load(0)
    scheme = wopt.build("scheme", {"name": "jko", "step_size": {"name": "arrival", "steps": 2}})
    legs = made.aims(wopt.build("objective", "wasserstein"), scheme, data)
    x = data.transform.move(made.snapshots().rows[1])
    energies = [float(legs.of_step(k).energy(wopt.Particles(x))) for k in (0, 1, 2)]
    assert energies[0] == energies[1] < energies[2]
    assert float(legs.energy(wopt.Particles(x))) == energies[2]
    with pytest.raises(Converged, match="after 4 steps"):
        legs.of_step(4)
    with pytest.raises(wopt.ConfigError, match="same number"):
        made.with_options(steps=3).aims(wopt.build("objective", "wasserstein"), scheme, data)
    with pytest.raises(wopt.ConfigError, match="sinkhorn, wasserstein"):
        legs_of(wopt.build("objective", "kl"), [x], 2)
    assert legs_of(wopt.build("objective", "energy_distance"), [x], 2).steps == 2


def test_what_is_measured_of_a_shift():
    """All distances of shifts are their lengths; the guess that goes on straight is exact."""
    first = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).double()
    v = torch.tensor([3.0, 4.0]).double()
    snapshots = MeasuredPopulations((0.0, 4.0), (first, first + v), 2, ((1.0, first + v / 4),))
    straight = judged_populations(
        snapshots, lambda x, begin, time: x + (time - begin) / 4 * v, 2, 60, 0
    )
    (left,) = straight.left_out
    assert straight.arrival_w2 == pytest.approx((0.0,), abs=1e-6)
    assert (left.time, left.cells) == (1.0, 60)
    for name, length in {"w": 0, "displacement_w": 0, "before_w": 1.25, "after_w": 3.75}.items():
        for p in (1, 2):
            assert getattr(left, f"{name}{p}") == pytest.approx(length, abs=1e-6), name
    assert left.noise_w1 > 0.1
    stays = judged_populations(snapshots, lambda x, begin, time: x, 2, 60, 0)
    assert stays.arrival_w2 == pytest.approx((5.0,))
    assert stays.left_out[0].w1 == pytest.approx(1.25)
    assert judged_populations(snapshots, lambda x, begin, time: x, 1, 60, 0).left_out[0].w1 > 0
    assert judged_populations(snapshots, lambda x, begin, time: x, 1, 60, 0).arrival_w2 == ()
    single = dataclasses.replace(snapshots, left_out=((1.0, first[:1]),))
    (left,) = judged_populations(single, lambda x, begin, time: x, 2, 60, 0).left_out
    assert math.isnan(left.noise_w1)
    assert left.w1 > 0


def test_displacement_interpolation_of_unequal_numbers_keeps_the_mass():
    x = torch.tensor([[0.0], [1.0], [2.0]]).double()
    y = torch.tensor([[10.0], [20.0]]).double()
    middle, mass = displacement_interpolation(x, y, 0.5)
    assert float(mass.sum()) == pytest.approx(1.0)
    assert float((mass * middle[:, 0]).sum()) == pytest.approx((1 + 15) / 2)
    assert wasserstein_distances(x, x, torch.tensor([0.0, 1.0, 0.0]).double())[0] == pytest.approx(
        2 / 3
    )


def test_a_run_through_populations(zoo, command, tmp_path):
    """A population that only moves: half way at half time, at the speed of the whole."""
    run, out = zoo("snapshots"), tmp_path / "x.csv"
    result = json.loads((run / "result.json").read_text())
    found = result["populations"]
    assert result["model"] == "push_forward"
    assert found["times"] == [0.0, 2.0]
    assert found["arrival_w2"][0] < 0.4  # of 3.16; batches of 100 rows make plans uneven
    (left,) = found["left_out"]
    assert left["w1"] == pytest.approx(left["displacement_w1"], abs=0.15)
    assert left["w1"] < min(left["before_w1"], left["after_w1"])
    assert "Left out: time 1" in (run / "report.html").read_text()
    asked = ("--time", "0", "--time", "1", "-n", "150", "--velocities", "-o", out, "--quiet")
    answer = command("sample", run, *asked)
    assert (answer.status, answer.err) == (0, "")
    rows = np.genfromtxt(out, delimiter=",", names=True)
    assert rows.dtype.names == ("particle", "time", "a", "b", "v_a", "v_b")
    begin, middle = (np.stack([rows["a"], rows["b"]], 1)[rows["time"] == t] for t in (0, 1))
    assert len(begin) == len(middle) == 150
    assert (middle - begin).mean(0) == pytest.approx(SHIFT / 2, abs=0.25)
    assert rows["v_a"][rows["time"] == 1].mean() == pytest.approx(SHIFT[0] / 2, abs=0.25)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (wopt.DataError("no such plan"), "populations are not judged: no such plan"),
        (ValueError("of a plugin"), "ValueError: of a plugin"),
    ],
)
def test_a_run_whose_judge_fails_stands_and_says_so(
    zoo, command, tmp_path, monkeypatch, error, says
):
    def judged(*args):
        raise error

    monkeypatch.setattr("wopt_geomloss.populations.judge.judged_populations", judged)
    made, out = zoo("snapshots") / "config.toml", tmp_path / "out"
    quick = ("--set", "solver.iterations=1", "--quiet")
    answer = command("run", made, "--out", out, *quick)
    assert (answer.status, says in answer.err) == (0, True)
    assert json.loads((out / "result.json").read_text())["populations"] is None
    assert says in (out / "log.txt").read_text()
    assert (out / "report.html").exists()


def test_times_that_are_not_there_are_told(zoo, command, tmp_path):
    run, out = zoo.copy("snapshots", tmp_path), tmp_path / "x.csv"
    for asked, summary in (
        (("--time", "3"), "0 to 2"),
        (("--velocities",), "--time 1.5"),
        (("--time", "1", "--importance"), "no use for --importance"),
    ):
        assert command("sample", run, *asked, "-o", out).is_mistake(summary)
    other = write(tmp_path / "c.csv", {0: [[0.0, 1.0]] * 150, 1: [[5.0, 6.0]], 2: [[1, 2]] * 150})
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace(str(zoo.folder / "snapshots.csv"), str(other)))
    assert "gives other data" in command("sample", run, "--time", "1", "-o", out).err
