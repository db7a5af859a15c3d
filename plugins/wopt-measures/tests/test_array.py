"""Tables as sources: splits, columns, NaN, and every message."""

import numpy as np
import pytest
import torch

import wopt
from wopt.data.refusals import SPLIT
from wopt_measures import ArraySource

ROWS = np.random.default_rng(0).normal(size=(200, 3)) @ np.array([[2, 1, 0], [0, 1, 1], [0, 0, 3]])


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "cells.csv"
    lines = [f"s{i % 2},{a!r},{b!r},{c!r}" for i, (a, b, c) in enumerate(ROWS.tolist())]
    path.write_text("stage,alpha,beta,gamma\n" + "\n".join(lines) + "\n")
    return path


def test_splits_are_disjoint_complete_and_seeded(table):
    source = ArraySource(table, columns=["alpha", "beta", "gamma"])
    source.check()
    data = source.load(seed=4)
    assert data.names == ("alpha", "beta", "gamma")
    assert [len(part) for part in (data.train, data.valid, data.test)] == [160, 20, 20]
    every = torch.cat([data.train, data.valid, data.test]).numpy()
    assert np.array_equal(np.sort(every, axis=0), np.sort(ROWS, axis=0))
    assert len(np.unique(every, axis=0)) == 200
    again, other = source.load(seed=4), source.load(seed=5)
    assert torch.equal(again.train, data.train)
    assert not torch.equal(other.train, data.train)
    assert data.log_density is None
    assert data.entropy is None


@pytest.mark.parametrize("how", ["none", "standardise", "whiten"])
def test_preprocessing_round_trips(table, how):
    data = ArraySource(table, preprocess=how).load(seed=0)
    z = data.transform.move(data.test)
    torch.testing.assert_close(data.transform.inverse(z)[0], data.test)
    assert data.train.dtype == torch.float64


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_other_number_types(tmp_path, dtype):
    np.save(tmp_path / "x.npy", (50 + ROWS).astype(dtype))
    kept = torch.float32 if dtype is np.float32 else torch.float64
    assert ArraySource(tmp_path / "x.npy").load(0).train.dtype == kept


def test_missing_values_are_modelled_or_dropped_and_infinite_ones_refused(tmp_path):
    x = ROWS.copy()
    x[5, 1], x[9, 2] = np.nan, np.inf
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(wopt.DataError, match=r'1 of 200 rows.*row\(s\) 9.*x2.*nan = "drop"'):
        ArraySource(tmp_path / "x.npy").load(0)
    data = ArraySource(tmp_path / "x.npy", nan="drop").load(0)
    assert sum(len(part) for part in (data.train, data.valid, data.test)) == 198
    np.save(tmp_path / "y.npy", np.full((5, 2), np.nan))
    with pytest.raises(wopt.DataError, match="all 5 rows"):
        ArraySource(tmp_path / "y.npy", nan="drop").load(0)


def test_integers_can_be_dequantised(tmp_path):
    np.save(tmp_path / "x.npy", np.tile(np.arange(4), 50)[:, None] * np.ones((1, 2)))
    assert ArraySource(tmp_path / "x.npy").load(0).names == ("x0",)  # x1 is a copy
    data = ArraySource(tmp_path / "x.npy", dequantise=1).load(0)
    assert float(data.train.min()) >= -0.5  # each value is the middle of its cell
    assert float(data.train.max()) < 3.5
    assert len(data.train.unique()) == data.train.numel()


def test_check_says_what_a_header_shows(table, tmp_path):
    for act in (lambda s: s.check(), lambda s: s.load(0)):
        with pytest.raises(wopt.DataError, match=r"cell\.csv does not exist; did you mean 'cells"):
            act(ArraySource(tmp_path / "cell.csv"))
        with pytest.raises(wopt.DataError, match=r"no column 'alfa'.*did you mean 'alpha'"):
            act(ArraySource(table, columns=["alfa"]))
        with pytest.raises(wopt.DataError, match=r"no column 4; its columns are 0..3"):
            act(ArraySource(table, columns=[4]))


def test_too_few_rows_and_constant_columns(tmp_path):
    assert ArraySource("x.npy").split == SPLIT  # by which a file is refused before it is loaded
    np.save(tmp_path / "x.npy", ROWS[:3])
    with pytest.raises(wopt.DataError, match="leave a part empty"):
        ArraySource(tmp_path / "x.npy").load(0)
    with pytest.raises(wopt.DataError, match="leave one for training"):
        ArraySource(tmp_path / "x.npy", split=(0.4, 0.3, 0.3)).load(0)
    np.save(tmp_path / "y.npy", np.column_stack([ROWS, np.full(200, 0.5)]))
    data = ArraySource(tmp_path / "y.npy").load(0)
    assert data.names == ("x0", "x1", "x2")
    assert data.table.left[0].why == "does not vary"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "path: is required"),
        ({"path": "x.npy", "split": [0.5, 0.4, 0.2]}, "split.*sum 1.1"),
        ({"path": "x.npy", "split": [1, 0, 0]}, "split.*positive"),
        ({"path": "x.npy", "nan": "ignore"}, "nan.*'refuse', 'drop' or 'mask'"),
        ({"path": "x.npy", "preprocess": "pca"}, "preprocess"),
    ],
)
def test_bad_options_are_explained(options, message):
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.build("source", {"name": "array", **options})


def test_relative_to_the_current_directory(table, monkeypatch):
    monkeypatch.chdir(table.parent)
    assert ArraySource("cells.csv").load(0).dim == 4
    with pytest.raises(wopt.DataError, match=r"cells2.csv does not exist.*'cells.csv'"):
        ArraySource("cells2.csv").check()


def test_real_tables(real_data):
    with pytest.raises(wopt.DataError, match=r"several arrays.*`key`.*X, y"):
        ArraySource(real_data / "tabular" / "magic.npz").check()
    magic = ArraySource(real_data / "tabular" / "magic.npz", key="X").load(0)
    assert magic.train.shape == (15_216, 10)
    emt = ArraySource(real_data / "cells" / "emt.csv", columns=[f"x{j}" for j in range(1, 11)])
    assert emt.load(0).dim == 10
    assert ArraySource(real_data / "tabular" / "miniboone_head.npy").load(0).dim == 43
