"""Many rows: read once, kept in their own precision, carried when asked for, judged by some."""

import math

import pytest
import torch

import wopt
from wopt.config.model import to_table, validate
from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.dataset import check_finite, subsample_eval
from wopt.data.table_transform import fit_transform
from wopt.errors import DataError, RunError
from wopt.plan import Facts, plan
from wopt.push import push
from wopt.runs.building import build_problem
from wopt.runs.memory import Rows
from wopt.runs.preparation import prepare
from wopt.seeds import derive
from wopt.statistics import some
from wopt.store.checkpoint import load_state, save_state
from wopt.store.directory import RunDirectory
from wopt.tensors import read_tensors

TWO_STEPS = {
    "source": {"name": "toy", "n_train": 300, "n_valid": 100, "n_test": 60},
    "block": {"name": "autoregressive", "transforms": 2, "hidden": [8]},
    "solver": {"iterations": 15, "batch_size": 50},
    "stop": {"steps": 2},
}


def normal(n, d, dtype=torch.float64, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).to(dtype)


def states_of(config):
    made = prepare(config)
    begun = made.problem.begin(made.train, made.valid)
    return made, [begun, *(state for state, _ in wopt.iterate(made.problem, begun))]


def saved(state, config, path):
    run = RunDirectory(path)
    run.create(to_table(config))
    save_state(run, state, config)
    return run


def test_nothing_carries_the_training_particles_after_the_last_step():
    made, (_, _, last) = states_of(validate(TWO_STEPS))
    assert last.train.ahead is last.block
    assert "particles" not in vars(last.train)
    carried = push(last.blocks[1], push(last.blocks[0], made.train))
    assert torch.equal(
        last.train.first(20).points, push(last.block, last.train.before.rows(slice(20))).points
    )
    assert torch.equal(last.train.particles.points, carried.points)
    assert torch.equal(last.train.particles.log_det, carried.log_det)


@pytest.mark.parametrize("after", [0, 1])
def test_a_run_resumes_from_rows_that_were_never_written(after, tmp_path):
    """At the start, or one block after it, the source has the training particles."""
    config = validate(TWO_STEPS)
    made, states = states_of(config)
    run = saved(states[after], config, tmp_path / "run")
    assert {key.split(".")[0] for key in read_tensors(run.state)[0]} == {"valid"}
    again = load_state(run, config, 2, 0, (made.train, made.valid))
    *_, (resumed, record) = wopt.iterate(made.problem, again)
    assert resumed.step == 2
    for split in ("train", "valid"):
        one, other = (getattr(s, split).particles for s in (resumed, states[2]))
        assert torch.equal(one.points, other.points)
        assert torch.equal(one.log_det, other.log_det)
    assert record.energy == states[2].energy


def test_a_later_checkpoint_holds_them_before_its_last_block(tmp_path):
    config = validate(TWO_STEPS)
    made, states = states_of(config)
    run = saved(states[2], config, tmp_path / "run")
    for step in (1, 2):  # a checkpoint a step, as a run makes them
        save_state(run, states[step], config)
    again = load_state(run, config, 2, 0, (made.train, made.valid))
    assert torch.equal(again.train.before.points, states[2].train.before.points)
    assert torch.equal(again.train.particles.points, states[2].train.particles.points)


def test_a_source_that_gives_other_rows_is_told_of(tmp_path):
    config = validate(TWO_STEPS)
    made, states = states_of(config)
    run = saved(states[1], config, tmp_path / "run")
    others = made.train.moved(made.train.points + 1, None)
    with pytest.raises(RunError, match="no longer gives the rows"):
        load_state(run, config, 2, 0, (others, made.valid))
    with pytest.raises(RunError, match="no longer gives the rows"):
        load_state(run, config, 2)


def test_single_precision_stays_and_is_the_same_to_the_last_bit():
    """More rows than are turned into columns at a time."""
    x = normal(10_000, 3, torch.float32)
    one, other = (Rows(rows, preprocess="whiten").load(0) for rows in (x, x.double()))
    assert (one.train.dtype, other.train.dtype) == (torch.float32, torch.float64)
    for split in ("train", "valid", "test"):
        assert torch.equal(getattr(one, split).double(), getattr(other, split))
    assert torch.equal(one.transform.matrix, other.transform.matrix)
    prepared = prepare(validate({"source": Rows(x)}))
    assert prepared.dataset.test.dtype == torch.float64
    rows = torch.cat([one.train, one.valid, one.test])
    order = rows[:, 0].argsort()
    assert torch.equal(rows[order], x[x[:, 0].argsort()])


def test_noise_is_drawn_in_double_precision():
    x = normal(200, 2, torch.float32).round()
    assert Rows(x, dequantise=1.0).load(0).train.dtype == torch.float64


def test_a_value_that_is_not_finite_is_found_among_many_rows():
    x = torch.zeros(70_000, 2)
    x[0, 0], x[1, 0] = 1e38, 3e38  # whose sum overflows, and which are finite
    check_finite(x, ("a", "b"), "x")
    x[69_999, 1] = torch.inf
    with pytest.raises(DataError, match=r"1 of 70000 rows .* row\(s\) 69999, column\(s\) b"):
        check_finite(x, ("a", "b"), "x")


def test_moments_of_many_rows_are_those_of_some():
    x = normal(300_000, 2) * torch.tensor([1.0, 5.0]).double() + 3
    few, columns = some(x), Columns.on_the_line(["a", "b"])
    assert len(few) == 100_000
    found = fit_transform(x, "whiten", columns)
    assert torch.equal(found.matrix, fit_transform(few, "whiten", columns).matrix)
    covariance = torch.cov(found.move(x).T)
    # Standard errors of 100,000 rows: 0.003 of a covariance, 0.0045 of a variance.
    assert float((covariance - torch.eye(2)).abs().max()) < 0.018


def test_a_column_that_seldom_varies_is_placed_by_all_rows():
    x = normal(300_000, 2)
    x[:, 1] = 0
    x[1, 1] = 1.0  # not among every third row
    found = fit_transform(x, "standardise", Columns.on_the_line(["a", "b"]))
    assert float(found.move(x)[:, 1].std()) == pytest.approx(1)
    x[1, 1] = 0
    with pytest.raises(DataError, match="b do not vary"):
        fit_transform(x, "standardise", Columns.on_the_line(["a", "b"]))


def test_a_spread_far_from_zero_is_scaled_to_the_digits_of_the_numbers():
    x = normal(5000, 2)
    x = torch.stack([1e15 + 100 * x[:, 0], x[:, 0] + x[:, 1]], dim=1)
    for bounds in ((-math.inf, math.inf), (0.0, math.inf)):
        columns = Columns((Column("a", bounds=bounds, scale=1e15), Column("b")))
        z = fit_transform(x, "whiten", columns).move(x)
        assert torch.allclose(torch.cov(z.T), torch.eye(2).double(), atol=1e-9)


def test_judges_are_chosen_by_the_seed():
    data = Rows(normal(1000, 2)).load(0)
    few = subsample_eval(data, 30, 5)
    assert (len(few.train), len(few.valid), len(few.test)) == (800, 30, 30)
    assert torch.equal(few.test, subsample_eval(data, 30, 5).test)
    assert not torch.equal(few.test, subsample_eval(data, 30, 6).test)
    rows = {tuple(row) for row in data.test.tolist()}
    assert rows > {tuple(row) for row in few.test.tolist()}
    assert subsample_eval(data, None, 5).test.equal(data.test)
    assert subsample_eval(data, 100, 5).valid.equal(data.valid)


def test_a_run_says_by_how_many_rows_it_was_judged(tmp_path):
    table = {**TWO_STEPS, "guard": {"rows": 40}, "stop": {"steps": 1}}
    made = wopt.run({**table, "certify": {"iterations": 0, "transport_rows": 0}}, tmp_path / "run")
    assert made.rows == 40
    assert "40 test rows" in (tmp_path / "run" / "report.html").read_text()
    assert wopt.run({**TWO_STEPS, "certify": {"enabled": False}}, tmp_path / "all").rows == 60


def test_plans_judge_by_20000_held_out_rows_at_most():
    assert plan(Facts(800_000, 100_000, 64)).table["guard"]["rows"] == 20_000


def test_rows_are_read_once_and_placed_once(monkeypatch):
    loads, moves = [], []
    load, move = Rows.load, wopt.data.transform.AffineTransform.move
    monkeypatch.setattr(Rows, "load", lambda self, seed: loads.append(0) or load(self, seed))

    def counted(self, x):
        moves.append(len(x))
        return move(self, x)

    monkeypatch.setattr(wopt.data.transform.AffineTransform, "move", counted)
    source = Rows(normal(30_000, 3), preprocess="auto")
    found = build_problem({"source": source, "plan": {"budget": 1}})
    assert len(loads) == 1
    assert moves.count(24_000) == 1
    assert found.config.source.preprocess == "whiten"


def test_rows_that_cannot_be_whitened_are_standardised():
    x = normal(8, 12)
    source = Rows(x, preprocess="auto")
    found = build_problem({"source": source, "plan": {"budget": 1}})
    assert found.config.source.preprocess == "standardise"
    expected = Rows(x, preprocess="standardise").load(derive(0, "source"))
    assert torch.equal(found.dataset.transform.matrix, expected.transform.matrix)
