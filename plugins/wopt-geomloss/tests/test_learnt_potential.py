"""A potential learnt from populations: recovered where it can be, and descended in time."""

import itertools
import json

import numpy as np
import pytest
import torch

import wopt
from wopt.testing import check_objective, gaussian_nodes
from wopt_geomloss.populations.features import Features
from wopt_geomloss.populations.potential import LearntPotential
from wopt_geomloss.populations.source import SnapshotsSource

A = torch.tensor([[1.5, 0.4], [0.4, -0.3]], dtype=torch.float64)  # a saddle
B = torch.tensor([0.7, -1.0], dtype=torch.float64)


def stepped(x, tau):
    """Return the exact JKO step of V = x.Ax/2 + b.x: y + tau (A y + b) = x."""
    return torch.linalg.solve(torch.eye(2).double() + tau * A, (x - tau * B).T).T


def populations(times, n=40):
    x = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = [x]
    for begin, end in itertools.pairwise(times):
        found.append(stepped(found[-1], end - begin))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    return [found[0], *(rows[order] for rows in found[1:])]  # nobody knows who is who


def learnt(rows, times, **options):
    tables = [population.tolist() for population in rows]
    return LearntPotential(populations=tables, times=list(times), **options)


@pytest.mark.parametrize("bumps", [0, 7])
@pytest.mark.parametrize("times", [(0.0, 0.5), (1.0, 1.4, 2.3)])
def test_a_quadratic_potential_is_recovered_exactly(times, bumps):
    """The plan of 40 rows is that of the map, so the least squares have no rest, at any steps."""
    g = learnt(populations(times), times, bumps=bumps)
    theta = g.theta  # of x, y, x^2/2, xy, y^2/2
    assert theta[:5].tolist() == pytest.approx([0.7, -1.0, 1.5, 0.4, -0.3], abs=1e-8)
    assert theta[5:].tolist() == pytest.approx([0.0] * bumps, abs=1e-8)
    x = torch.tensor([[2.0, 3.0], [0.0, 0.0]]).double()
    v = g.contributions(wopt.Particles(x))
    assert float(v[0] - v[1]) == pytest.approx(float(x[0] @ A @ x[0] / 2 + B @ x[0]), abs=1e-7)


def test_places_on_the_way_see_the_speed_of_straight_lines():
    """V is linear for a population that moves: any number of places gives the same."""
    x = populations((0.0, 1.0))[0]
    for steps in (1, 4):
        g = learnt([x, x + torch.tensor([3.0, 1.0])], (0.0, 2.0), bumps=0, steps=steps)
        assert g.theta.tolist() == pytest.approx([-1.5, -0.5, 0, 0, 0], abs=1e-9)


def test_chance_repels_at_ends_and_not_in_the_middle():
    """Two draws of one law in ten dimensions, which does not move: V should be about flat.

    With v = y - x of variance s^2 that is chance, the slope at ends is -s^2/2, of other seeds -0.26
    too; in the middle it has mean 0 and, of three seeds, values up to 0.004.
    """
    rng = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 300, 10, dtype=torch.float64, generator=rng)
    slopes = {}
    for place in ("end", "middle"):
        g = learnt([x, y], (0.0, 1.0), bumps=0, place=place)
        i, j = torch.triu_indices(10, 10)
        slopes[place] = float(g.theta[10:][i == j].mean())
    assert slopes["end"] < -0.2
    assert abs(slopes["middle"]) < 0.03


def test_gradients_of_features_are_theirs():
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    features = Features(x[:2] + 0.5, 1.3)
    exact = torch.func.vmap(torch.func.jacrev(lambda p: features.values(p[None])[0]))(x)
    assert features.gradients(x).mT == pytest.approx(exact, abs=1e-12)


def test_it_obeys_the_laws_and_tells_mistakes():
    g = wopt.build("objective", {"name": "learnt_potential", **LearntPotential.example})
    eye = torch.eye(2, dtype=torch.float64)
    assert "derivative_matches_differences" in check_objective(g, gaussian_nodes(eye[0], eye))
    particles = wopt.Particles(eye)
    with pytest.raises(wopt.ConfigError, match="use the source snapshots"):
        LearntPotential().energy(particles)
    with pytest.raises(wopt.ConfigError, match="a later time for each"):
        learnt([eye, eye], (1.0, 1.0)).energy(particles)


CONFIG = """
dtype = "float64"
[source]
name = "snapshots"
path = "cells.csv"
time = "day"
steps = 1
[objective]
name = "learnt_potential"
bumps = 0
[scheme]
name = "jko"
step_size = [0.5, 1.5]
[block]
name = "affine"
[solver]
optimiser = "lbfgs"
iterations = 60
[stop]
steps = 2
[certify]
enabled = false
"""


def test_a_flow_down_what_was_learnt(tmp_path, monkeypatch, command):
    """Of a quadratic V every JKO step is affine, so the flow meets the populations exactly."""
    monkeypatch.chdir(tmp_path)
    times = (0.0, 0.5, 2.0)
    rows = populations(times, 200)
    lines = [
        f"{x},{y},{time}" for time, some in zip(times, rows, strict=True) for x, y in some.tolist()
    ]
    (tmp_path / "cells.csv").write_text("\n".join(["a,b,day", *lines]))
    (tmp_path / "cells.toml").write_text(CONFIG)
    assert command("run", "cells.toml", "--out", "out", "--quiet").status == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["populations"]["arrival_w2"] == pytest.approx([0, 0], abs=1e-3)
    asked = ("--time", "1.25", "-n", "200", "--quiet", "-o", "x.csv")
    assert command("sample", "out", *asked).status == 0
    made = np.genfromtxt(tmp_path / "x.csv", delimiter=",", names=True)
    middle = (rows[1] + stepped(rows[1], 1.5)) / 2
    assert made["a"].mean() == pytest.approx(float(middle[:, 0].mean()), abs=1e-3)
    scheme = wopt.build("scheme", {"name": "jko", "step_size": 1.0})
    source = SnapshotsSource(path=tmp_path / "cells.csv", time="day", steps=1)
    with pytest.raises(wopt.ConfigError, match=r"step_size = \[0.5, 1.5\]"):
        source.aims(LearntPotential(), scheme, source.load(0))
