"""Files of run directories that are damaged, or made by others: one line each, nothing outside."""

import json
import os
import random

import numpy as np
import pytest
import torch
from damaged import trial

import wopt
from wopt.data.tables import read_frame
from wopt.reading import parsed_json, parsed_toml
from wopt.runs.examine import examine
from wopt.runs.log import RunLog
from wopt.runs.terminal import Terminal
from wopt.tensors import read_tensors, write_tensors

FILES = ("state.safetensors", "transform.safetensors", "blocks/001.safetensors", "config.toml")


@pytest.mark.parametrize(
    "block", [0, 1, *(pytest.param(k, marks=pytest.mark.slow) for k in range(2, 6))]
)
def test_mutated_files(finished_run, tmp_path, block):
    """A sample of what `make soak` does; seeds are fixed."""
    for seed in range(8 * block, 8 * block + 8):
        _, how, done, problem = trial(
            {"data": finished_run}, tmp_path / "t", random.Random(seed), heavy=False
        )
        assert not problem, (seed, how, done, problem)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "huge"])
def test_what_is_no_file_is_named(command, stranger, tmp_path, name, kind):
    run, precious = stranger
    (run / name).unlink()
    if kind == "link":
        (run / name).symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(run / name)
    elif kind == "folder":
        (run / name).mkdir()
    else:
        with (run / name).open("wb") as file:
            file.truncate(2**42)
    answer = command("sample", run, "-n", "3", "-o", tmp_path / "x.npy")
    assert answer.is_mistake(str(run / name))
    assert len(answer.err.splitlines()) == 1
    assert precious.read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["log.txt", "blocks", "losses.jsonl", "result.json", "report.html"]
)
def test_a_link_is_refused_before_anything_is_written(command, stranger, name):
    run, precious = stranger
    target = run / name
    target.rename(precious.parent / "moved")
    target.symlink_to(precious.parent / "moved")
    before = sorted((p, p.stat().st_mtime_ns) for p in precious.parent.rglob("*"))
    assert command("resume", run).is_mistake(str(target), "is a link")
    assert sorted((p, p.stat().st_mtime_ns) for p in precious.parent.rglob("*")) == before


def test_a_log_with_another_name_is_not_added_to(stranger):
    run, precious = stranger
    (run / "log.txt").unlink()
    os.link(precious, run / "log.txt")
    with pytest.raises(wopt.RunError, match="hard link"):
        RunLog(run / "log.txt").write("rm -rf ~")
    assert precious.read_text() == "precious"


def test_text_from_files_is_one_line_and_escaped(tmp_path, capsys):
    log = RunLog(tmp_path / "log.txt")
    log.write("done: all\nalias ls=evil\n\x1b]0;title\x07")
    assert (tmp_path / "log.txt").read_text().count("\n") == 1
    assert "\\nalias ls=evil\\n\\x1b]0;title\\x07" in (tmp_path / "log.txt").read_text()
    Terminal().warn("\x1b[2J\u202etxt.exe [/bold]")
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[2J\\u202etxt.exe [/bold]" in said


@pytest.mark.parametrize(
    "text", ["[" * 5000, "[" * 100 + "]" * 100, '{"a":' * 5000, "9" * 400, "9" * 5000, '"\\ud800"']
)
def test_json_that_no_run_writes(text):
    with pytest.raises(ValueError, match=r"nested|whole number|Unicode|digits|Expecting"):
        parsed_json(text)


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 5000, ".".join("a" * 50_000) + " = 1", "[[a]]\n" * 50_000,
     '"a b"' + ' . "a b"' * 5000 + " = 1", "x = " + "9" * 40],
)  # fmt: skip
def test_toml_that_no_run_writes(text):
    with pytest.raises(ValueError, match=r"nested|tables|whole number"):
        parsed_toml(text)


@pytest.mark.parametrize(
    "shape", ["(1208925819614629174706176,)", "(-1, 2)", "(1000000000000, 2)", "(3, 4, 5)"]
)
def test_an_array_that_says_it_is_larger_than_its_file(tmp_path, shape):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((40, 2)))
    data = path.read_bytes()
    path.write_bytes(data[:80].replace(b"(40, 2), }", shape.encode() + b", }") + data[80:])
    with pytest.raises(wopt.UserError, match=r"x\.npy"):
        read_frame(path)


def test_state_of_wrong_shapes(command, finished, tmp_path):
    tensors, about = read_tensors(finished / "state.safetensors")
    wrong = [
        tensors | {"valid.points": tensors["valid.points"][:, :1]},
        tensors | {"valid.points": tensors["valid.points"].double()},
        tensors | {"valid.log_det": tensors["valid.log_det"][:5]},
        tensors | {"valid.points": tensors["valid.points"] * torch.nan},
    ]
    for each in wrong:
        write_tensors(finished / "state.safetensors", each, about)
        assert command("certify", finished).is_mistake(str(finished / "state.safetensors"))
    for state in ('{"step": -1}', "[]", '{"step": 1e99}', '{"step": 9, "step_size": 1}'):
        write_tensors(finished / "state.safetensors", tensors, {"state": state})
        answer = command("sample", finished, "-o", tmp_path / "x.npy")
        assert answer.is_mistake(str(finished / "state.safetensors"), "damaged")


def test_doctor_of_a_whole_run(command, finished):
    answer = command("doctor", finished)
    assert (answer.status, answer.err) == (0, "")
    assert "2 step(s) finished, the maps of the first 2 can be read" in answer.out
    assert "resume: yes" in answer.out


def test_doctor_says_what_can_be_rescued(command, finished, tmp_path):
    (finished / "blocks/002.safetensors").write_bytes(b"garbage")
    (finished / "result.json").write_text("{")
    answer = command("doctor", finished)
    assert answer.status == 1
    assert "blocks/002.safetensors: is damaged" in answer.out
    assert "the maps of the first 1 can be read" in answer.out
    assert "sample and score: no" in answer.out
    assert "delete result.json" in answer.out
    model = tmp_path / "model.wopt"
    assert command("doctor", finished, "--rescue", model).status == 0
    assert len(wopt.load(model).blocks) == 1
    assert wopt.load(model).sample(3).shape == (3, 2)


def test_doctor_without_a_state_still_finds_the_maps(command, finished, tmp_path):
    (finished / "state.safetensors").unlink()
    found = examine(finished)
    assert (found.steps, found.whole, found.sampled) == (None, 2, False)
    assert command("doctor", finished, "--rescue", tmp_path / "m.wopt").status == 0
    assert command("doctor", tmp_path / "nothing").is_mistake("not a run directory")
    assert command("doctor", "--rescue", tmp_path / "m.wopt").is_mistake("--rescue needs")


def test_other_formats(command, finished):
    config = finished / "config.toml"
    text = config.read_text()
    assert 'run-directory = "1"' in text
    config.write_text(text.replace('run-directory = "1"', 'run-directory = "99"'))
    assert command("doctor", finished).status == 1
    assert command("report", finished).is_mistake("format '99'", "wopt-core", "install")
    config.write_text(text.replace('run-directory = "1"\n', ""))  # from before there was a number
    (finished / "data.json").unlink()
    assert command("doctor", finished).status == 0


def test_json_output_reads_the_certificate_with_checks(finished):
    from wopt.cli.output import result_table
    from wopt.store.result import RunResult

    made = json.loads((finished / "certificate.json").read_text())
    (finished / "certificate.json").write_text(json.dumps(made | {"gap": 3}))
    with pytest.raises(wopt.RunError, match=r"certificate\.json is damaged"):
        result_table(RunResult("done", "", 2), finished)


def test_what_mutations_found(command, finished, tmp_path):
    """A grid of no steps divided by zero; a picture of a window without ends was no picture."""
    block = finished / "blocks/001.safetensors"
    tensors, about = read_tensors(block)
    for steps in (0, -3, 2**40):
        write_tensors(block, tensors | {"steps": torch.tensor(steps)}, about)
        answer = command("sample", finished, "-o", tmp_path / "x.npy")
        assert answer.is_mistake(str(block), "`steps` is")
    figures = finished / "figures.safetensors"
    arrays, about = read_tensors(figures)
    extent = arrays["grid_extent"].clone()
    extent[0] = torch.nan
    write_tensors(figures, arrays | {"grid_extent": extent}, about)
    assert command("report", finished).is_mistake(str(figures), "grid_extent")
