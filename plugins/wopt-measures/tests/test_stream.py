"""Tables larger than memory: the same dataset as in memory, in mapped files; the same run."""

import errno
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.data.choices import Choices
from wopt.data.load import from_table
from wopt.data.tables import read_frame
from wopt.errors import ConfigError, DataError
from wopt.mapped import IN_MEMORY, bytes_of, memmap_scope
from wopt.parallel import Team
from wopt.push import in_batches
from wopt.runs.execute import resume, run_config
from wopt.runtime import Runtime
from wopt.store.directory import RunDirectory
from wopt.tensors import read_tensors
from wopt_certify.run import certify_run
from wopt_measures.sources.stream import streamed

SPLIT = (0.8, 0.1, 0.1)
ROWS = 140_000
"""Two pieces of 65,536 rows and a part of one."""


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal([0, 1, 2], size=(ROWS, 3)).astype(np.float32)


def written(x, path, dtype):
    x = x.astype(dtype)
    if path.suffix == ".npy":
        np.save(path, x)
    else:
        table = pyarrow.table({name: x[:, j] for j, name in enumerate("abc")})
        pyarrow.parquet.write_table(table, path, row_group_size=50_000)
    return path


def mapped(x):
    return x.untyped_storage().filename is not None


@pytest.mark.parametrize("name", ["x.npy", "x.parquet"])
def test_a_process_reads_its_own_training_rows(x, name, tmp_path):
    """The first all, in a mapped file; the third of four its shard, with the same preprocessing."""
    path, choices = written(x, tmp_path / name, "float32"), Choices(columns=[2, 0])
    expected = from_table(read_frame(path), choices, SPLIT, "whiten", 7, str(path))
    with memmap_scope(tmp_path / "rooms", None) as memory:
        first, third = (
            streamed(path, choices, SPLIT, "whiten", 7, Runtime(Team(k, 4), memory, by_rows=True))
            for k in (0, 2)
        )
        assert streamed(path, choices, SPLIT, "whiten", 7, Runtime(Team(0, 4), memory)) is None
    assert mapped(first.train)
    assert not mapped(third.train)
    assert (first.shared, third.shared) == (None, len(expected.train))
    assert torch.equal(first.train.double(), expected.train)
    own = Team(2, 4).span(len(expected.train))
    assert torch.equal(third.train.double(), expected.train[own])
    assert torch.equal(third.test.double(), expected.test)
    assert torch.equal(third.valid.double(), expected.valid)
    for found in (first, third):
        assert torch.equal(found.transform.matrix, expected.transform.matrix)


def test_what_cannot_be_read_in_pieces_is_read_whole_where_it_fits(x, tmp_path):
    path = written(x[:300], tmp_path / "x.npy", "float32")
    late = np.zeros((300, 1), np.float32)
    np.save(tmp_path / "constant.npy", late)
    by_rows = Runtime(Team(1, 2), by_rows=True)
    assert streamed(path, Choices(context=["x0"]), SPLIT, "whiten", 7, by_rows) is None
    assert streamed(path, Choices(where="x0 > 0"), SPLIT, "whiten", 7, by_rows) is None
    assert streamed(path, Choices(), (0.999, 0.0005, 0.0005), "whiten", 7, by_rows) is None
    with pytest.raises(DataError, match="do not vary"):
        streamed(tmp_path / "constant.npy", Choices(), SPLIT, "whiten", 7, by_rows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["x.npy", "x.parquet"])
def test_it_is_the_dataset_that_is_made_in_memory(x, name, dtype, tmp_path):
    path = written(x, tmp_path / name, dtype)
    choices = Choices(columns=[2, 0]) if name == "x.npy" else Choices(context=["b"])
    with memmap_scope(tmp_path / "rooms", "1MB") as memory:
        found = streamed(path, choices, SPLIT, "whiten", 7, Runtime(memory=memory))
    expected = from_table(read_frame(path), choices, SPLIT, "whiten", 7, str(path))
    assert mapped(found.train)
    assert not list((tmp_path / "rooms").iterdir())  # its file has no name
    assert (found.names, found.condition) == (expected.names, expected.condition)
    for split in ("train", "valid", "test"):
        one, other = getattr(found, split), getattr(expected, split)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert torch.equal(found.transform.matrix, expected.transform.matrix)


def test_what_fits_is_read_as_ever(x, tmp_path):
    path = written(x, tmp_path / "x.npy", "float32")
    assert streamed(path, Choices(), SPLIT, "whiten", 0) is None
    with memmap_scope(tmp_path / "rooms", "1GB") as memory:
        assert streamed(path, Choices(), SPLIT, "whiten", 0, Runtime(memory=memory)) is None
    assert not (tmp_path / "rooms").exists()


def test_what_has_to_see_all_rows_is_refused_by_name(x, tmp_path):
    path = written(x, tmp_path / "x.parquet", "float32")
    whole = pyarrow.table({"a": np.arange(ROWS), "b": x[:, 0]})
    pyarrow.parquet.write_table(whole, tmp_path / "whole.parquet")
    with memmap_scope(tmp_path / "rooms", "1MB") as memory:
        how = SPLIT, "whiten", 0, Runtime(memory=memory)
        with pytest.raises(DataError, match="cannot be streamed with support, weights"):
            streamed(path, Choices(support={"a": "infer"}, weights="c"), *how)
        with pytest.raises(DataError, match="with columns of type int64"):
            streamed(tmp_path / "whole.parquet", Choices(), *how)


def test_a_value_that_is_not_finite_is_found(x, tmp_path):
    bad = x.copy()
    bad[70_000, 1] = np.nan
    path = written(bad, tmp_path / "x.npy", "float32")
    with (
        memmap_scope(tmp_path / "rooms", "1MB") as memory,
        pytest.raises(DataError, match=r"column\(s\) x1"),
    ):
        streamed(path, Choices(), SPLIT, "whiten", 0, Runtime(memory=memory))


def test_results_of_many_rows_are_mapped_above_the_budget(tmp_path):
    x = torch.arange(100_000.0)[:, None]
    with memmap_scope(tmp_path / "rooms", "2MB") as memory:
        made = in_batches(lambda part: (part + 1, part), x, memory=memory)
    assert all(map(mapped, made))
    assert torch.equal(made[0], x + 1)
    assert not mapped(in_batches(lambda part: part + 1, x))


@pytest.mark.parametrize("text", ["2", "much", "-1GB", "0GB", "1.2.3GB"])
def test_what_is_no_amount_of_memory_is_said(text):
    with pytest.raises(ConfigError, match="is not an amount of memory"):
        bytes_of(text)
    with pytest.raises(ConfigError, match=r"run\.memory"):
        validate({"source": "toy", "run": {"memory": text}})


def test_without_a_budget_there_is_memory():
    whole = IN_MEMORY.room((10, 2), torch.float64)
    assert (whole.shape, mapped(whole)) == ((10, 2), False)


def test_a_run_within_a_budget_is_the_run_without_and_resumes(x, tmp_path):
    path = written(x[:20_000], tmp_path / "x.npy", "float32")
    table = {
        "source": {"name": "array", "path": str(path), "preprocess": "none"},
        "scheme": {"name": "jko", "step_size": 0.2},
        "block": {"name": "affine"},
        "solver": {"iterations": 10, "batch_size": 100, "learning_rate": 0.02},
        "guard": {"rows": 200},
        "stop": {"steps": 3},
        "certify": {"enabled": False, "challenge": False, "transport_rows": 0},
    }
    one, two = tmp_path / "one", tmp_path / "two"
    run_config(validate(table), one, report=False)
    small = {**table, "run": {"memory": "1MB"}}
    run_config(validate({**small, "stop": {"steps": 2}}), two, report=False)
    config = RunDirectory(two).config
    config.write_text(config.read_text().replace("steps = 2\n", "steps = 3\n"))
    resume(two, report=False)
    assert not (two / "particles").exists()
    for step in (1, 2, 3):
        blocks = [read_tensors(RunDirectory(at).block(step))[0] for at in (one, two)]
        assert all(torch.equal(blocks[0][key], blocks[1][key]) for key in blocks[0])
    assert wopt.load(two).sample(3).shape == (3, 3)
    certify_run(two, options={"particles": 200, "iterations": 5})
    assert not (two / "particles").exists()


def test_a_disk_without_room_is_told_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**6))
    with memmap_scope(tmp_path / "rooms", "1MB") as memory:
        memory.room((10_000, 10), torch.float64)
        with pytest.raises(OSError, match="no room") as output:
            memory.room((10_000, 20), torch.float64)
    assert output.value.errno == errno.ENOSPC
