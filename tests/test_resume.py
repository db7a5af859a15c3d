"""A run that was broken off goes on to the same bits as an unbroken one."""

import json
import os
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import pytest

from wopt.cli.main import main
from wopt.config.model import validate
from wopt.runs.execute import run_config

NAMES = ("blocks/001.safetensors", "blocks/002.safetensors", "blocks/003.safetensors")


@pytest.fixture(scope="module")
def table():
    return {
        "seed": 7,
        "source": {"name": "toy", "shape": "moons", "n_train": 400, "n_valid": 100, "n_test": 100},
        "scheme": {"name": "jko", "step_size": [0.5, 1.0, 2.0]},
        "block": {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
        "solver": {"iterations": 80, "batch_size": 100, "ema": 0.9, "patience": 2},
        "stop": {"steps": 3},
        "certify": {"enabled": False},
    }


@pytest.fixture(scope="module")
def unbroken(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("unbroken") / "run"
    run_config(validate(table), path, report=False)
    return path


def broken(config, out, after=NAMES[0]):
    """Run in a forked process, interrupt it after a block is there; return status and words."""
    said = out.parent / "said.txt"
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
        sys.argv, status = ["wopt", "run", str(config), "--out", str(out)], 1
        with said.open("w") as file, redirect_stdout(file), redirect_stderr(file):
            try:
                main()
            except SystemExit as ended:
                status = ended.code
        os._exit(status)
    limit = time.monotonic() + 120
    while not (out / after).exists():
        assert time.monotonic() < limit
        time.sleep(0.005)
    time.sleep(0.02)
    os.kill(child, signal.SIGINT)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text()


def figures(path):
    held = json.loads((path / "result.json").read_text())
    return {k: v for k, v in held.items() if k not in ("seconds", "cpu_seconds")}


def records(path):
    lines = [json.loads(line) for line in (path / "steps.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if k not in ("seconds", "cpu_seconds", "stop")}
        for line in lines
    ]


def uncertified(path, text="", other=""):
    """Let a run go on without a certificate, under a configuration of another text."""
    config = (path / "config.toml").read_text()
    for old, new in (("enabled = true", "enabled = false"), (text, other)):
        assert old in config
        config = config.replace(old, new) if old else config
    (path / "config.toml").write_text(config)


def same(one, other):
    for name in (*NAMES, "samples.npy", "transform.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert figures(one) == figures(other)
    left, right = records(one), records(other)
    # BLAS may round the last bit of what is only reported; what the run goes on from is the same.
    for a, b in zip(left, right, strict=True):
        assert a.pop("residual") == pytest.approx(b.pop("residual"), rel=1e-9)
    assert left == right


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_interrupted_by_hand(command, config, table, unbroken, tmp_path):
    out = tmp_path / "out"
    status, said = broken(config(table), out)
    assert status == 130
    assert "Traceback" not in said
    result = json.loads((out / "result.json").read_text())
    assert result["status"] == "stopped"
    assert f"wopt resume {out}" in result["reason"]
    assert 1 <= result["steps"] < 3
    for name in ("samples.npy", "report.html", "log.txt", "state.safetensors"):
        assert (out / name).stat().st_size > 0
    assert len(records(out)) == result["steps"]
    assert command("sample", out, "-n", "3", "-o", tmp_path / "x.npy").status == 0
    assert command("resume", out).status == 0
    same(out, unbroken)


def test_interrupted_before_the_first_state(
    command, config, table, unbroken, tmp_path, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as changed:
        changed.setattr("wopt.runs.execute.save_transform", interrupt)
        answer = command("run", config(table), "--out", out)
    assert (answer.status, (out / "config.toml").exists()) == (130, True)
    assert f"interrupted; go on with `wopt resume {out}`" in answer.err
    assert command("resume", out).status == 0
    same(out, unbroken)


def test_a_finished_run_stays_as_it_is(command, finished, finished_run):
    answer = command("resume", finished)
    assert answer.status == 0
    for name in ("state.safetensors", "samples.npy", "steps.jsonl", "blocks/002.safetensors"):
        assert (finished / name).read_bytes() == (finished_run / name).read_bytes(), name
    assert figures(finished) == figures(finished_run)
    # Its effort was chosen by the clock, and is not chosen again.
    one, two = (json.loads((p / "certificate.json").read_text()) for p in (finished, finished_run))
    assert one["effort"] == two["effort"]
    assert one["gap"]["lower"] == pytest.approx(two["gap"]["lower"], rel=1e-9)


def test_a_run_may_go_on_under_a_later_stop_rule(command, config, tiny, finished, tmp_path):
    uncertified(finished, "[stop]\nsteps = 2", "[stop]\nsteps = 3")
    assert command("resume", finished).status == 0
    tiny["stop"] = {"steps": 3}
    longer = tmp_path / "longer"
    assert command("run", config(tiny), "--out", longer).status == 0
    same(finished, longer)
