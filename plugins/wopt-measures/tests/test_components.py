"""What holds for every component of this plugin, by name from the registry."""

import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import wopt
from wopt.flow import SourceLaw
from wopt.host import host

MEANS = [[-2.0, 0.0], [2.0, 0.0]]
SMALL = {"n_train": 50, "n_valid": 20, "n_test": 20}
OPTIONS = {
    ("exact", "barenblatt"): {},
    ("exact", "equilibrium"): {},
    ("exact", "ornstein_uhlenbeck"): {},
    ("exact", "second_moment"): {},
    ("target", "barenblatt"): {"m": 3.0, "dim": 3, "radius": 2.0},
    ("target", "random_gaussian"): {"dim": 3, "draw": 2},
    ("target", "gaussian"): {"mean": [1.0, 2.0], "scale": 2.0},
    ("target", "mixture"): {"means": MEANS, "scale": [0.5, 1.0]},
    ("target", "circle"): {"components": 5, "variance": 0.005},
    ("target", "random_mixture"): {"dim": 3, "seed": 2, "span": 5.0},
    ("target", "mustache"): {"correlation": 0.5},
    ("target", "funnel"): {"dim": 3, "scale": 2.0},
    ("target", "many_wells"): {"dim": 4},
    ("target", "logistic"): {"path": "labels.csv", "held_out": 0.25, "seed": 1},
    ("target", "posteriordb"): {"posterior": "eight_schools_centered", "folder": "posteriors"},
    ("target", "tempered"): {"inverse_temperature": 0.3},
    ("target", "potential"): {"function": lambda x: x.square().sum(1)},
    ("target", "python"): {"log_prob": "model.py:log_prob", "dim": 2},
    ("target", "samples"): {"source": {"name": "toy", "shape": "moons", **SMALL}, "draw": "all"},
    ("source", "array"): {"path": "rows.npy", "columns": ["x1", 0]},
    ("source", "sklearn"): {"dataset": "wine", "columns": [0, 1]},
    ("source", "patches"): {"size": 4, "n_train": 500, "n_valid": 50, "n_test": 50},
    ("source", "idx"): {"path": "digits.idx", "pool": 2},
    ("source", "picture"): {"path": "drawing.png", **SMALL},
    ("source", "density"): {"law": {"name": "barenblatt", "dim": 3}, **SMALL},
    ("source", "gaussian"): {"dim": 3, **SMALL},
    ("source", "mixture"): {"means": MEANS, **SMALL},
    ("source", "rejection"): {"flow": "wide.wopt", "steps": 2, "pilots": 1000, **SMALL},
    ("source", "toy"): {"shape": "pinwheel", **SMALL},
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("def log_prob(x): return -x.square().sum(1)")
    np.save("rows.npy", np.random.default_rng(0).normal(size=(100, 3)))
    (tmp_path / "labels.csv").write_text("a,y\n" + "".join(f"{k % 7},{k % 2}\n" for k in range(20)))
    schools = {"y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}
    (tmp_path / "posteriors").mkdir()
    with zipfile.ZipFile("posteriors/data__eight_schools.json.zip", "w") as file:
        file.writestr("eight_schools.json", json.dumps(schools))
    start = wopt.build("source", {"name": "gaussian", "dim": 2, "scale": 1.2, **SMALL})
    units = wopt.AffineTransform.fit(torch.eye(2).double(), "none")
    flow = wopt.Flow([units], SourceLaw(start, 0)).inverted()
    flow.save("wide.wopt")
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12)).save("drawing.png")
    head = bytes([0, 0, 8, 3, 0, 0, 0, 50, 0, 0, 0, 4, 0, 0, 0, 6])
    levels = np.random.default_rng(0).integers(0, 256, 1200).astype(np.uint8)
    (tmp_path / "digits.idx").write_bytes(head + levels.tobytes())
    with wopt.allow_code():
        yield


def test_this_list_is_complete():
    registered = [e for e in host().registry.entries() if e.plugin == "measures"]
    assert {(e.kind, e.name) for e in registered} == set(OPTIONS)
    assert all(e.summary for e in registered)


@pytest.mark.parametrize("name", [n for k, n in OPTIONS if k == "source"])
def test_sources_are_seeded_and_their_splits_disjoint(name):
    source = wopt.build("source", {"name": name, **OPTIONS["source", name]})
    source.check()
    data, again, other = source.load(0), source.load(0), source.load(1)
    for part in ("train", "valid", "test"):
        rows = getattr(data, part)
        assert rows.dtype == torch.float64
        assert rows.device.type == "cpu"
        assert torch.equal(rows, getattr(again, part))
        assert not torch.equal(rows, getattr(other, part))
    every = torch.cat([data.train, data.valid, data.test])
    if name != "sklearn":  # whose rows may repeat
        assert len(every.unique(dim=0)) == len(every)
    torch.testing.assert_close(data.transform.inverse(data.transform.move(every))[0], every)
    assert len(data.names) == data.dim
    if data.log_density is not None:
        assert data.log_density(data.test).shape == (len(data.test),)
        fresh = data.sample(5, torch.Generator().manual_seed(0))
        assert fresh.shape == (5, data.dim)
        assert torch.isfinite(data.log_density(fresh)).all()


@pytest.mark.parametrize("name", [n for (_, n), options in OPTIONS.items() if "n_train" in options])
def test_size_of_the_training_split_does_not_change_the_test_split(name):
    options = OPTIONS["source", name]
    small = wopt.build("source", {"name": name, **options}).load(0)
    large = wopt.build("source", {"name": name, **options, "n_train": 600}).load(0)
    assert torch.equal(small.test, large.test)
