"""Particles held by the process that maps them: the same run, in less memory."""

import json
import tomllib

import numpy as np
import pytest
import tomli_w
import torch
from teams import TABLE, near, together

from wopt import CapabilityError
from wopt.config.model import validate
from wopt.parallel.launch import launched
from wopt.particles import Particles
from wopt.runs import execute as executing
from wopt.runs.execute import hold, resume, run_config
from wopt.runs.preparation import prepare
from wopt.sharded import ShardedParticles, held
from wopt.store.pieces import read_pieces
from wopt.tensors import read_tensors
from wopt.train.stage import Stage

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_gloo_available(), reason="torch was built without gloo"
    ),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

HELD = {**TABLE, "run": {**TABLE["run"], "hold": "shard"}}


def shown(out):
    """Make the run and return what its processes held at each step, of how many."""

    def task(_):
        seen, before = [], Stage.train

        def train(self, previous):
            points = self.sub.particles.points
            seen.append((type(self.sub.particles), len(points), len(self.sub.particles)))
            return before(self, previous)

        Stage.train = train
        return run_config(validate(HELD), out, report=False).status, seen

    return task


def test_processes_hold_their_shards_and_make_the_same_run(zoo, tmp_path):
    one, two = zoo("sharded"), tmp_path / "two"
    assert together(shown(two)) == [("done", [(ShardedParticles, 150, 300)] * 3)] * 2
    near(one, two)
    same_particles(one, two)


def same_particles(one, two):
    """Check that the pieces of two processes hold the particles of one file."""
    whole = read_tensors(one / "state.safetensors")[0]
    pieces = read_pieces(two / "state", "003.json")[0]
    assert {f"train.{key}" for key in pieces} == {key for key in whole if key[:5] == "train"}
    assert all(torch.allclose(whole[f"train.{key}"], pieces[key]) for key in pieces)


def array(folder):
    """Return the source of a table that can be read in pieces."""
    path = folder / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(401, 3)).astype(np.float32))
    return {"name": "array", "path": str(path), "split": [0.75, 0.15, 0.1]}


def test_processes_load_their_shards_and_make_the_same_run(tmp_path):
    source, one, two = array(tmp_path), tmp_path / "one", tmp_path / "two"
    run_config(validate({**TABLE, "source": source}), one, report=False)

    def task(rank):
        loaded, before = [], executing.hold

        def watched(prepared):
            data = prepared.dataset
            loaded.append((len(data.train), data.shared, len(prepared.train.points)))
            return before(prepared)

        executing.hold = watched
        return run_config(validate({**HELD, "source": source}), two, report=False).status, loaded

    assert together(task) == [("done", [(301, None, 150)]), ("done", [(151, 301, 151)])]
    near(one, two)
    same_particles(one, two)
    first = json.loads((one / "data.json").read_text())
    assert first == json.loads((two / "data.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["toy", "array"])
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_what_is_held_is_read_by_another_number_of_processes(before, after, kind, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    source = TABLE["source"] if kind == "toy" else array(tmp_path)
    run_config(validate({**TABLE, "source": source}), one, report=False)
    early = validate({**HELD, "source": source, "stop": {"steps": 2}})

    def by(count, task):
        return [task(0)] if count == 1 else together(task, count)

    assert by(before, lambda _: run_config(early, two, report=False).steps) == [2] * before
    config = two / "config.toml"
    table = tomllib.loads(config.read_text())
    table["stop"]["steps"] = 3
    config.write_text(tomli_w.dumps(table))
    assert by(after, lambda _: resume(two, report=False).steps) == [3] * after
    near(one, two)


def test_rows_and_values_are_sent_by_who_holds_them():
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    whole = Particles(x, torch.full((40,), 1 / 40), x[:, 0].clone(), None)
    index = torch.tensor([3, 39, 3, 20, 19])

    def task(_):
        with launched(30.0) as of:
            own = held(whole, of)
            some = own.rows(index)
            values = own.pick(own.points[:, :2].square(), index)
            return {
                "own": len(own.points) == 20,
                "mark": own.checksum() == whole.checksum(),
                "type": type(some) is Particles,
                "points": torch.equal(some.points, x[index]),
                "log_det": torch.equal(some.log_det, x[index, 0]),
                "weights": torch.allclose(some.weights, torch.full((5,), 0.2)),
                "values": torch.equal(values, x[index, :2].square()),
                "first": torch.equal(own.rows(slice(25)).points, x[:25]),
            }

    for found in together(task):
        assert all(found.values()), found


def test_of_a_run_that_is_refused_nothing_is_left(tmp_path):
    table = {**HELD, "source": array(tmp_path), "scheme": "forward_backward"}

    def task(_):
        run_config(validate(table), tmp_path / "out", report=False)

    found = together(task)
    assert [type(error) for error in found] == [CapabilityError] * 2
    assert "scheme forward_backward" in str(found[1])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "who"),
    [
        ({"scheme": "forward_backward"}, "scheme forward_backward looks at all"),
        ({"block": {"name": "autoregressive", "hidden": [4]}}, "block autoregressive is made for"),
        ({"solver": {"optimiser": "lbfgs"}}, "solver lbfgs trains on all"),
        ({"solver": {"batch_size": 300}}, "solver.batch_size = 300 asks for all 300 rows"),
        ({"solver": {"fresh": True, "batch_size": 20}}, "solver.fresh draws among all"),
        ({"refine": {"iterations": 5}}, r"\[refine\] carries all particles"),
    ],
)
def test_what_needs_all_particles_is_refused_by_name(change, who):
    with pytest.raises(CapabilityError, match=who):
        hold(prepare(validate({**HELD, **change})))
