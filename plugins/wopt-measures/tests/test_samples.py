"""The target known by samples."""

import numpy as np
import pytest
import torch

import wopt
from wopt import Capability
from wopt_measures import GaussianSource, SamplesTarget, ToySource

MOONS = ToySource("moons", n_train=50, n_valid=20, n_test=20, preprocess="whiten")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_rows_are_drawn_again_from_the_source_in_its_own_units():
    target = SamplesTarget(MOONS)
    assert target.provides == Capability.TARGET_SAMPLES
    rows = MOONS.load(0).train
    x = target.sample(400, 2, generator())
    assert x.shape == (400, 2)
    assert x.dtype == torch.float64
    assert len(torch.cat([rows, x]).unique(dim=0)) == len(rows)
    assert torch.equal(x, target.sample(400, 2, generator()))
    assert not torch.equal(x, target.sample(400, 2, generator(1)))
    assert target.dim == 2


def test_seed_and_split_choose_the_rows():
    every = SamplesTarget(MOONS, draw="all", seed=3, split="test").sample(7, 2, generator())
    assert torch.equal(every, MOONS.load(3).test)


def test_a_target_made_from_a_source_does_no_work_before_it_is_asked(tmp_path):
    target = wopt.build(
        "target",
        {"name": "samples", "source": {"name": "array", "path": str(tmp_path / "none.npy")}},
    )
    with pytest.raises(wopt.DataError, match=r"none\.npy"):
        target.sample(3, 2, generator())


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_points_may_be_rows_arrays_or_tensors(make):
    target = SamplesTarget(points=make([[0.0, 1.0], [2.0, 3.0]]))
    assert target.dim == 2
    assert target.rows.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    table = wopt.config_of(target)
    assert wopt.config_of(wopt.build("target", table)) == table


def test_mistakes_are_explained():
    with pytest.raises(wopt.ConfigError, match="either"):
        SamplesTarget()
    with pytest.raises(wopt.ConfigError, match="either"):
        SamplesTarget(MOONS, points=[[0.0]])
    with pytest.raises(wopt.ConfigError, match="equally many"):
        SamplesTarget(points=[[0.0], [1.0, 2.0]])
    with pytest.raises(wopt.ConfigError, match="finite"):
        SamplesTarget(points=[[float("nan")]])
    with pytest.raises(wopt.DataError, match="dimension 2 and the flow 3"):
        SamplesTarget(MOONS).sample(5, 3, generator())
    with pytest.raises(wopt.CapabilityError, match="POTENTIAL"):
        SamplesTarget(MOONS).potential(torch.zeros(1, 2))
    start = wopt.Particles.start(GaussianSource(dim=2, n_train=50).load(0).train)
    with pytest.raises(wopt.CapabilityError, match="POTENTIAL"):
        wopt.solve(start, objective={"name": "kl", "target": SamplesTarget(MOONS)})
