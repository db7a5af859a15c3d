"""Data that change, processes that meet, disks that fill up, directories that go: one message."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import kills
import numpy as np
import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.interfaces.listener import Listener
from wopt.runs.execute import resume, run_config
from wopt.runs.loading import Fingerprint
from wopt.stein import AffineField, SteinForm
from wopt.store.directory import RunDirectory

START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "wopt"
from wopt.cli.main import main
main()
"""


@pytest.fixture
def of_file(tiny, config, tmp_path):
    """Return the configuration of a run of a file, which is not certified, and the file."""
    rows = tmp_path / "rows.csv"
    draw = np.random.default_rng(0)
    np.savetxt(rows, draw.exponential(size=(120, 2)) ** 2, delimiter=",", header="a,b", comments="")
    tiny["source"] = {"name": "array", "path": str(rows)}
    tiny["source"]["preprocess"] = "standardise"
    tiny["certify"] = {"enabled": False}
    return config(tiny), rows


class Tells(Listener):
    """Keeps warnings."""

    def __init__(self, output):
        self.told = output

    def warn(self, text):
        self.told.append(text)


def test_resume_refuses_other_data(command, of_file, tmp_path):
    path, rows = of_file
    out = tmp_path / "out"
    table = wopt.config.read.read_toml(path) | {"stop": {"steps": 1}}
    run_config(validate(table), out, report=False)
    text = (out / "config.toml").read_text()
    (out / "config.toml").write_text(text.replace("[stop]\nsteps = 1", "[stop]\nsteps = 2"))
    whole = rows.read_text()
    changed = {
        "118 rows in place of 120": whole.rsplit("\n", 3)[0] + "\n",
        "other values in column(s) b": whole.replace(whole.split(",")[-1], "0.125\n"),
        "columns a, c in place of a, b": whole.replace("a,b", "a,c"),
    }
    for words, content in changed.items():
        rows.write_text(content)
        ways = ("wopt run", "--out", "--allow-changed-data")
        assert command("resume", out).is_mistake(words, str(out), *ways)
    rows.write_text(changed["other values in column(s) b"])
    assert command("certify", out).is_mistake("other values in column(s) b")
    assert command("doctor", out).status == 1
    assert command("doctor", out, "--allow-changed-data").status == 0
    reported = []
    with wopt.allow_changed_data():
        resume(out, Tells(reported), report=False)
    assert "the data have changed since the run began" in reported[0]
    assert reported[0] in (out / "log.txt").read_text()
    rows.unlink()
    assert command("resume", out).is_mistake("rows.csv does not exist")


def test_a_fingerprint_forgives_rounding_of_what_is_computed():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).double()
    unit = wopt.AffineTransform.fit(x, "none")
    one, near, other = (
        Fingerprint.of(wopt.Dataset(part, x, x, unit, ("a", "b")))
        for part in (x, x * (1 + 1e-15), x + 1e-6 * x.roll(1, 0))
    )
    assert one.differs(near) == ""
    assert one.differs(other) == "other values in column(s) a, b"
    assert Fingerprint.from_dict(one.to_dict()) == one


def test_a_lock_dies_with_its_owner(command, finished):
    ready, reported = os.pipe()
    child = os.fork()
    if child == 0:
        with RunDirectory(finished).lock():
            os.write(reported, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    try:
        for verb in ("resume", "certify"):
            assert command(verb, finished).is_mistake("another process writes there", status=1)
        assert command("doctor", finished).status == 0  # reading goes on
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    (finished / ".state.safetensors.abcdefgh.safetensors").write_text("half")
    with RunDirectory(finished).lock():
        assert not list(finished.glob(".*"))


class Removes(Listener):
    """Removes a run's directory after its first step."""

    def __init__(self, path):
        self.path = path

    def step(self, record):
        shutil.rmtree(self.path)


def test_a_directory_that_is_removed_in_mid_run(of_file, tmp_path):
    table = wopt.config.read.read_toml(of_file[0])
    with pytest.raises(wopt.RunError, match=r"cannot write .*out is gone"):
        run_config(validate(table), tmp_path / "out", Removes(tmp_path / "out"), report=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("setting", ["block.width=1000000000000", "source.n_train=10000000000000"])
def test_impossible_sizes_are_refused(command, config, tiny, setting):
    began = time.process_time()
    answer = command("validate", config(tiny), "--set", setting)
    assert answer.is_mistake("there is not enough memory for it")
    assert time.process_time() - began < 30


def test_impossible_numbers_of_samples_are_refused(command, finished, tmp_path):
    answer = command("sample", finished, "-n", 10**12, "-o", tmp_path / "x.npy")
    assert answer.is_mistake("1000000000000 samples", "-n", "GiB")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_ctrl_c_while_modules_are_imported():
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", START, "doctor"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:  # torch's import has begun
        if "torch" in line:
            break
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert said.endswith("error: interrupted\n")
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="no forks")
def test_killed_in_the_middle_of_a_write(tmp_path):
    """One of what `make soak` does a hundred times."""
    made = kills.table() | {"certify": {"enabled": False}, "stop": {"steps": 2}}
    config = kills.write(tmp_path / "config.toml", made)
    (tmp_path / "whole").mkdir()
    reference, _ = kills.unbroken(config, tmp_path / "whole", 1)
    draw = random.Random(4)
    output, differing, traceback = kills.trial(
        config, reference, 1.0, tmp_path / "t", draw, 1, kills=2, writes=1.0
    )
    assert (differing, traceback) == ([], ""), output


def test_figures_do_not_depend_on_what_lay_in_memory():
    """torch.linalg.lstsq by its default driver begins with pivots that nobody has set."""
    y = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).double()
    form = SteinForm(y, y / 3 + 0.1 * y.roll(1, 1), -torch.ones(60).double(), None)
    made = set()
    for dirt in range(-3, 60):
        for size in range(1, 9):  # freed at once, and taken next
            torch.full((size,), dirt % 5 - 1, dtype=torch.int32)
        made.add(tuple(AffineField(form).matrix.flatten().tolist()))
    assert len(made) == 1


@pytest.mark.slow
def test_the_same_bits_whatever_the_hash_seed(config, tiny, tmp_path):
    tiny["certify"] = {"enabled": False}
    path, made = config(tiny), []
    for seed in ("0", "4711"):
        out = tmp_path / seed
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        words = [sys.executable, "-m", "wopt", "run", str(path), "--out", str(out), "-q"]
        subprocess.run(words, env=environment, check=True, timeout=300)
        made.append(out)
    assert not kills.differing(*made)
