"""A user's mistake is answered by one message at the right place, and exit status 2."""

import json
import os

import numpy as np
import pytest

from wopt.files import locked
from wopt.reading import parsed_toml


def changed(table, place, value):
    """Set a dotted place of a nested table."""
    *path, last = place.split(".")
    inner = table
    for part in path:
        if isinstance(inner.get(part), str):
            inner[part] = {"name": inner[part]}
        inner = inner.setdefault(part, {})
    inner[last] = value
    return table


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("blok", "ode", ["blok: unknown option", "did you mean 'block'"]),
        ("source.name", "toi", ["source: no source named 'toi'", "did you mean 'toy'"]),
        ("scheme.step_size", "geometrik", ["scheme.step_size: no step_size", "'geometric'"]),
    ],
)
def test_a_mistake_in_the_file(command, config, tiny, tmp_path, place, value, words):
    """All others are told in the same way, see test_component."""
    path = config(changed(tiny, place, value))
    assert command("run", path, "--out", tmp_path / "out").is_mistake(f"{path}: ", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("absent.toml", None, ["{path}: no such file", "present.toml"]),
        (".", None, ["{path}", "cannot be read"]),
        ("bad.toml", b'seed = 1\n[source\nname = "toy"\n', ["{path}: is not valid TOML", "line 2"]),
        ("bad.toml", b"\xff\xfe\x00seed", ["{path}: cannot be read"]),
    ],
    ids=["missing", "a folder", "no TOML", "no text"],
)
def test_what_is_no_configuration(command, config, tiny, tmp_path, file, content, words):
    config(tiny, "present.toml")
    path = tmp_path / file
    if content:
        path.write_bytes(content)
    for verb in ("run", "validate"):
        assert command(verb, path).is_mistake(*(word.format(path=path) for word in words))


def test_a_pipe_is_not_waited_for(command, tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    for verb in ("run", "validate"):
        assert command(verb, tmp_path / "pipe.toml").is_mistake("pipe.toml: is a pipe")


@pytest.mark.parametrize("text", ['a = "' + '\\"' * 100_000, "a = " + " " * 200_000 + "["])
def test_a_line_without_an_end_is_answered(text):
    """Reading it took minutes when the time was quadratic in its length."""
    with pytest.raises(ValueError, match=r"nterminated string|Invalid value"):
        parsed_toml(text)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("stop.steps", ["--set stop.steps: write KEY=VALUE"]),
        ("=3", ["write KEY=VALUE"]),
        ("seed.x=3", ["--set seed.x=3: seed is 3, not a table"]),
        ("stop.steps=none", ["stop.steps", "got 'none'"]),
        ("solver.oops=1", ["solver.oops: unknown option"]),
    ],
)
def test_a_mistake_in_set(command, config, tiny, setting, words):
    assert command("validate", config(tiny), "--set", setting).is_mistake(*words)


# Data.


@pytest.fixture
def data(tmp_path):
    """Return a folder with tables: one that is whole, and some that are not."""
    x = np.random.default_rng(0).normal(size=(100, 3))
    np.savetxt(tmp_path / "rows.csv", x[:, :2], delimiter=",", header="height,weight", comments="")
    np.save(tmp_path / "cut.npy", x)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:300])
    x[17, 1] = np.inf
    np.save(tmp_path / "infinite.npy", x)
    (tmp_path / "x.xlsx").write_text("")
    return tmp_path


ONLY_RUN, BOTH = ("run",), ("validate", "run")


@pytest.mark.parametrize(
    ("verbs", "file", "options", "words"),
    [
        (BOTH, "rowz.csv", {}, ["rowz.csv does not exist", "did you mean 'rows.csv'"]),
        (BOTH, "rows.csv", {"columns": ["height", "wait"]},
         ["rows.csv has no column 'wait'", "did you mean 'weight'"]),
        (ONLY_RUN, "infinite.npy", {},
         ["infinite.npy", "1 of 100 rows", "row(s) 17", "x1", "`--set source.nan=drop`"]),
        (ONLY_RUN, "x.xlsx", {}, ["x.xlsx", "'.xlsx'", ".parquet"]),
        (BOTH, "cut.npy", {}, ["cut.npy", "damaged"]),
    ],
    ids=["missing", "a missing column", "an infinity", "an unknown kind", "damaged"],
)  # fmt: skip
def test_a_mistake_in_the_data(command, config, tiny, data, verbs, file, options, words):
    tiny["source"] = {"name": "array", "path": str(data / file), **options}
    for verb in verbs:
        out = ("--out", data / "out") if verb == "run" else ()
        assert command(verb, config(tiny), *out).is_mistake(*words)
    assert not (data / "out").exists()


def test_target_and_source_of_unlike_dimension(command, config, tiny):
    tiny["objective"] = {"name": "kl", "target": {"name": "gaussian", "mean": [0.0, 0.0, 0.0]}}
    assert command("run", config(tiny)).is_mistake("dimension 3", "source 2")


# Directories.


def test_a_run_is_never_overwritten(command, config, tiny, finished):
    before = (finished / "state.safetensors").read_bytes()
    table = config(tiny).with_name("table.csv")
    table.write_text("a\n" + "".join(f"{k % 7}\n" for k in range(50)))
    for words in ((config(tiny),), (table, "--budget", "1h")):  # no plan is made before
        answer = command("run", *words, "--out", finished)
        assert answer.is_mistake(str(finished), "holds a run already", f"wopt resume {finished}")
    assert (finished / "state.safetensors").read_bytes() == before


def test_a_run_in_training_is_not_to_be_deleted(command, config, tiny, finished):
    with locked(finished):
        answer = command("run", config(tiny), "--out", finished)
    assert answer.is_mistake(str(finished), "another process writes there now", status=1)
    assert "delete" not in answer.err


@pytest.mark.parametrize("part", ["render", "collect"])
def test_what_comes_after_training_never_makes_it_fail(
    command, config, tiny, tmp_path, monkeypatch, part
):
    def broken(*_args, **_options):
        raise KeyError("no such column")

    monkeypatch.setattr(f"wopt_report.{part}", broken)
    answer = command("run", config(tiny), "--out", tmp_path / "out")
    assert answer.status == 0
    assert "KeyError: 'no such column'" in answer.out
    assert json.loads((tmp_path / "out" / "result.json").read_text())["status"] == "done"


def test_the_place_of_the_run_is_a_file(command, config, tiny, tmp_path):
    (tmp_path / "file").write_text("precious")
    assert command("run", config(tiny), "--out", tmp_path / "file").is_mistake("is a file")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("words", [["resume"], ["report"], ["sample", "-o", "x.npy"]])
@pytest.mark.parametrize("there", [True, False])
def test_what_is_no_run(command, tmp_path, words, there):
    place = tmp_path / "empty"
    if there:
        place.mkdir()
    verb, *rest = words
    assert command(verb, place, *rest).is_mistake(f"{place}: is not a run directory")


@pytest.mark.parametrize(
    ("verb", "rows", "out", "words"),
    [
        ("score", [[0.0] * 5] * 5, "o.npy",
         ["x.npy: has 5 columns", "not clear which of them are x0, x1"]),
        ("score", [[0.0, 1.0], [np.inf, 0.0]], "o.npy", ["x.npy", "1 of 2 rows", "x0"]),
        ("score", None, "o.npy", ["x.npy does not exist"]),
        ("score", [[0.0, 1.0]], "o.xlsx", ["o.xlsx", "'.xlsx'", ".npy, .csv, .parquet"]),
        ("sample", None, "o.xlsx", ["o.xlsx", "'.xlsx'", ".npy, .csv, .parquet"]),
        ("sample", None, "no/o.npy", ["o.npy", "cannot be written"]),
    ],
    ids=["columns", "not finite", "no data", "score to xlsx", "sample to xlsx", "no folder"],
)  # fmt: skip
def test_what_cannot_be_read_or_written(command, zoo, tmp_path, verb, rows, out, words):
    if rows:
        np.save(tmp_path / "x.npy", rows)
    data = [tmp_path / "x.npy"] if verb == "score" else []
    assert command(verb, zoo("data"), *data, "-o", tmp_path / out).is_mistake(*words)
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize(
    "words",
    [
        ["rum"],
        ["run"],
        ["run", "x.toml", "--output", "y"],
        ["sample", "dir", "-n", "0", "-o", "x.npy"],
        ["sample", "dir"],
        ["show", "scheme", "jkoo"],
        ["show", "schema", "jko"],
        ["init", "--source", "toyy"],
    ],
)
def test_a_mistake_on_the_command_line(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert command(*words).is_mistake()
    assert list(tmp_path.iterdir()) == []


def test_init_does_not_overwrite(command, tmp_path):
    path = tmp_path / "wopt.toml"
    assert command("init", path).status == 0
    assert command("validate", path).status == 0
    assert command("init", path).is_mistake(f"{path}: is there already", "--force")
    assert command("init", path, "--force").status == 0


# Parts of a run that are missing or do not fit; `tests/reliability` damages files in all ways.


def test_missing_records_do_not_matter_to_sampling(command, finished, tmp_path):
    (finished / "steps.jsonl").unlink()
    assert command("sample", finished, "-n", "3", "-o", tmp_path / "x.npy").status == 0
    assert np.load(tmp_path / "x.npy").shape == (3, 3)


def test_a_block_of_another_shape(command, finished, tmp_path):
    text = (finished / "config.toml").read_text()
    (finished / "config.toml").write_text(text.replace("width = 8", "width = 9"))
    answer = command("sample", finished, "-o", tmp_path / "x.npy")
    assert answer.is_mistake("001.safetensors", "does not fit the block", "config.toml")
