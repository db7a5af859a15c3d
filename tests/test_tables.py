"""Reading and writing tables: exact round trips and every message."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from wopt.data.assembly import pick_columns
from wopt.data.tables import column_names, read_table, write_table
from wopt.errors import DataError, RunError


def rows():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(50, 3)) * 10.0 ** draw.integers(-300, 300, (50, 3))
    x[0, 0], x[1, 1], x[2, 2] = np.nan, np.inf, -np.inf
    return x


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet", ".CSV"])
def test_round_trip_to_the_last_bit(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("old")
    write_table(path, rows(), ("a", "b, c", "d"))
    back, names = read_table(path)
    assert np.array_equal(back, rows(), equal_nan=True)
    assert names == (("x0", "x1", "x2") if suffix == ".npy" else ("a", "b, c", "d"))
    assert column_names(path) == names
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    write_table(path, np.ones((2, 1)), ["a"])

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wopt.files.os.fsync", full)
    with pytest.raises(RunError, match="the disk is full"):
        write_table(path, np.zeros((2, 1)), ["a"])
    assert read_table(path)[0].tolist() == [[1.0], [1.0]]
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("0.5,1\n2,3\n", ("x0", "x1"), [[0.5, 1], [2, 3]]),
        ("0,1\n2,3\n", ("0", "1"), [[2, 3]]),
        (",a,b\n0,1,2\n1,3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("\ufeffa, b\r\n1, 2\r\n", ("a", "b"), [[1, 2]]),
        ("a,who,ok\n1,x,true\n2,y,false\n", ("a",), [[1], [2]]),
        ('"a, b",c\n1,\n', ("a, b",), [[1]]),
        ("7\n8\n", ("x0",), [[7], [8]]),
    ],
)
def test_csv_dialects(tmp_path, text, names, values):
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    found = read_table(path)
    assert found[1] == names
    assert found[0].tolist() == values


def test_types_are_inferred_from_the_whole_file(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n" + "1\n" * 600_000 + "0.5\n")
    assert read_table(path)[0][-1, 0] == 0.5


def test_parquet_with_missing_values_and_decimals(tmp_path):
    table = pyarrow.table(
        {"i": [1, None], "s": ["a", "b"], "d": pyarrow.array([1, 2], pyarrow.decimal128(5, 2))}
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    values, names = read_table(tmp_path / "x.parquet")
    assert names == ("i", "d")
    assert np.array_equal(values, [[1, 1], [np.nan, 2]], equal_nan=True)


CONTENTS = {
    "garbage.npy": b"garbage",
    "garbage.npz": b"garbage",
    "garbage.parquet": b"garbage",
    "latin.csv": b"a\xe9,b\n1,2\n",
    "empty.csv": b"",
    "ragged.csv": b"a,b\n1,2,3\n",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_damaged_files(tmp_path, name):
    (tmp_path / name).write_bytes(CONTENTS[name])
    with pytest.raises(DataError, match=f"{name} cannot be read as .*damaged, truncated"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet"])
def test_truncated_files(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez(path, X=rows())
    else:
        write_table(path, rows(), "abc")
    path.write_bytes(path.read_bytes()[:-9])
    for act in (read_table, column_names):
        with pytest.raises(DataError, match=f"{path.name} cannot be read"):
            act(path)


def test_a_flipped_bit_in_an_archive(tmp_path):
    np.savez(tmp_path / "x.npz", X=rows())
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[400] ^= 255
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match="CRC"):
        read_table(tmp_path / "x.npz")


def test_arrays_of_an_archive(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, train=rows(), labels=rows()[:, 0])
    assert column_names(path, "train") == ("x0", "x1", "x2")
    assert read_table(path, "labels")[0].shape == (50, 1)
    for act in (read_table, column_names):
        with pytest.raises(
            DataError, match=r"several arrays; pick one with `key` .of a source.*train, labels"
        ):
            act(path)
        with pytest.raises(DataError, match=r"no array 'trian'.*did you mean 'train'"):
            act(path, "trian")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\).*reshape"),
        (np.float64(3), r"shape \(\)"),
        (np.zeros((2, 0)), r"shape \(2, 0\)"),
        (np.zeros((2, 3), complex), "complex128, not numbers"),
        (np.array([["a", "b"]]), "not numbers"),
        (np.zeros((0, 3)), "has no rows"),
        (np.array([{}], dtype=object), "Python objects"),
    ],
)
def test_arrays_that_are_no_tables(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,1\nx,2\n2,3\n", "column 'a' is numbers but for 1 row.*first row 1: 'x'"),
        ("a;b\n1;2\n", "separated by commas, and its first line has ';' in their place"),
        ("a,b\n", "has no rows"),
    ],
)
def test_tables_without_such_numbers(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a", "a"], "not distinct"),
        ([], "name at least one"),
        (["alfa"], "columns: alpha, a; did you mean 'alpha'"),
    ],
)
def test_columns_that_are_not_there(columns, message):
    with pytest.raises(DataError, match=message):
        pick_columns(("alpha", "a"), columns, "x.csv")


def test_places_that_do_not_exist(tmp_path):
    (tmp_path / "data.csv").write_text("a\n1\n")
    (tmp_path / "data.txt").write_text("1")
    for act in (read_table, column_names):
        with pytest.raises(DataError, match=r"does not exist; did you mean 'data.csv'"):
            act(tmp_path / "dta.csv")
        with pytest.raises(DataError, match="is a folder"):
            act(tmp_path)
        with pytest.raises(DataError, match="nor does the folder"):
            act(tmp_path / "none" / "x.csv")
        with pytest.raises(DataError, match=r"suffix '.txt'; known: .npy, .npz, .csv, .parquet"):
            act(tmp_path / "data.txt")
        with pytest.raises(DataError, match=r"`key` picks an array of an .npz"):
            act(tmp_path / "data.csv", "X")


@pytest.mark.parametrize(
    ("name", "names", "message"),
    [
        ("x.txt", "ab", "suffix '.txt'; known: .npy, .csv, .parquet"),
        ("x", "ab", "suffix ''"),
        ("x.csv", "abc", "as many distinct column names"),
        ("x.csv", "aa", "as many distinct column names"),
        ("none/x.csv", "ab", "the folder .* does not exist"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, names, message):
    with pytest.raises(DataError, match=message):
        write_table(tmp_path / name, np.zeros((3, 2)), names)
    assert list(tmp_path.iterdir()) == []


def test_many_columns_are_not_all_listed():
    with pytest.raises(DataError, match=r"x19, \.\.\.$"):
        pick_columns([f"x{j}" for j in range(99)], ["zebra"], "t")
