"""Two real processes over gloo: the same bits, one that is killed, Ctrl-C, other counts."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import tomli_w
import torch

from wopt.config.model import validate
from wopt.errors import RunError, TeamError
from wopt.interfaces.listener import SILENT
from wopt.runs.execute import resume, run
from wopt.runs.together import run_table
from wopt.store.directory import RunDirectory, read_tensors
from wopt.store.pieces import read_pieces
from wopt.train.stage import Stage

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_gloo_available(), reason="torch was built without gloo"
    ),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # Python 3.12, of threads
]

LIMIT = 60.0
"""Seconds after which a process is taken to hang, which fails a test."""

TABLE = {
    "seed": 5,
    "source": {"name": "toy", "n_train": 300, "n_valid": 100, "n_test": 60},
    "block": {"name": "ode", "width": 8, "steps": 1},
    "solver": {"iterations": 6, "batch_size": 70, "check_every": 3, "patience": 2},
    "stop": {"steps": 3},
    "certify": {"enabled": False},
    "run": {"shards": 4, "timeout": 30.0},
}
FILES = ("blocks/001", "blocks/002", "blocks/003", "state")


def together(task, count=2, **environment):
    """Run a task in forked processes of one team; return what each returned, or its signal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    answers = [context.Queue() for _ in range(count)]

    def work(rank):
        os.environ |= {
            "RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", **environment,
        }  # fmt: skip
        try:
            answer = task(rank)
        except (Exception, SystemExit) as error:
            answer = error
        answers[rank].put(answer)

    processes = [context.Process(target=work, args=(rank,)) for rank in range(count)]
    end = time.monotonic() + LIMIT
    for process in processes:
        process.start()
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    late = [process for process in processes if process.exitcode is None]
    for process in late:
        process.kill()
        process.join()
    assert not late, f"{len(late)} of {count} processes hang"
    return [
        answer.get(timeout=5) if process.exitcode == 0 else process.exitcode
        for answer, process in zip(answers, processes, strict=True)
    ]


def same(one, other, files=FILES):
    """Check that two runs left the same bits, and made the same records but for time."""
    for file in files:
        first, second = (read_tensors(at / f"{file}.safetensors")[0] for at in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), file
    for first, second in zip(*(RunDirectory(at).read_steps() for at in (one, other)), strict=True):
        assert (first.energy, first.decrease, first.nll_valid, first.loss, first.iterations) == (
            second.energy, second.decrease, second.nll_valid, second.loss, second.iterations
        )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken run of one process."""
    path = tmp_path_factory.mktemp("whole") / "run"
    run(validate(TABLE), path, report=False)
    return path


def copied(run, path, steps):
    """Return a copy of a run as it stood after some steps."""
    config = {**TABLE, "stop": {"steps": steps}}
    run(validate(config), path, report=False)
    text = (path / "config.toml").read_text()
    (path / "config.toml").write_text(text.replace(f"steps = {steps}\n", "steps = 3\n"))
    return path


def test_two_processes_give_the_bits_of_one_and_agree(whole, tmp_path):
    out = tmp_path / "run"

    def task(rank):
        sums = []
        before = Stage.train

        def train(self, previous):
            block, report = before(self, previous)
            sums.append([p.double().sum().item() for p in block.parameters()])
            return block, report

        Stage.train = train
        result = run(validate(TABLE), out, report=False)
        return result.status, result.steps, sums

    first, second = together(task)
    assert first == second
    assert first[:2] == ("done", 3)
    same(whole, out)
    results = [json.loads((at / "result.json").read_text()) for at in (whole, out)]
    assert results[0]["nll_test"] == results[1]["nll_test"]


def test_a_killed_process_ends_the_other_and_one_process_goes_on(whole, tmp_path):
    out = tmp_path / "run"

    def task(rank):
        before = Stage.train

        def train(self, previous):
            if rank == 1 and self.step == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return before(self, previous)

        Stage.train = train
        run(validate(TABLE), out, report=False)

    first, second = together(task)
    assert second == -signal.SIGKILL
    assert isinstance(first, TeamError)
    assert "another process of this run has ended" in str(first)
    assert "wopt resume" in str(first)
    index = json.loads((out / "state" / "002.json").read_text())
    assert list(index["files"].values()) == [75] * 4
    assert resume(out, report=False).status == "done"
    same(whole, out)


def test_a_process_that_hangs_is_given_up_in_time(tmp_path):
    table = {**TABLE, "run": {"shards": 2, "timeout": 2.0}, "stop": {"steps": 1}}

    def task(rank):
        if rank == 1:
            before = Stage.train

            def train(self, previous):
                time.sleep(6.0)
                return before(self, previous)

            Stage.train = train
        began = time.monotonic()
        try:
            run(validate(table), tmp_path / "run", report=False)
        except TeamError as error:
            return str(error), time.monotonic() - began
        return None

    (told, seconds), other = together(task)
    assert "did not answer within run.timeout" in told
    assert seconds < LIMIT
    assert other is not None  # it finds the first one gone


def test_ctrl_c_of_one_process_stops_all_and_two_go_on_as_one(whole, tmp_path):
    out = tmp_path / "run"

    def task(rank):
        before = Stage.train

        def train(self, previous):
            if rank == 1 and self.step == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return before(self, previous)

        Stage.train = train
        return run(validate(TABLE), out, report=False).status

    assert together(task) == ["stopped", "stopped"]
    assert "go on with `wopt resume" in json.loads((out / "result.json").read_text())["reason"]
    assert together(lambda rank: resume(out, report=False).status) == ["done", "done"]
    same(whole, out)


def test_without_shards_two_processes_agree_with_one_to_rounding(tmp_path):
    table = {**TABLE, "run": {}, "dtype": "float64", "stop": {"steps": 1}}
    one, two = tmp_path / "one", tmp_path / "two"
    run(validate(table), one, report=False)
    assert together(lambda _: run(validate(table), two, report=False).steps) == [1, 1]
    first, second = (read_tensors(at / "blocks" / "001.safetensors")[0] for at in (one, two))
    assert all(torch.allclose(first[key], second[key], rtol=1e-7, atol=1e-9) for key in first)


def test_pushed_particles_are_shared_in_mapped_files(tmp_path):
    source = {**TABLE["source"], "n_train": 9000}
    table = {**TABLE, "source": source, "stop": {"steps": 2}}
    small = {**table, "run": {**TABLE["run"], "memory": "1MB"}}
    one, two = tmp_path / "one", tmp_path / "two"

    def task(rank):
        mapped = []

        def seen(self, previous):
            mapped.append(self.sub.particles.points.untyped_storage().filename is not None)
            return before(self, previous)

        before, Stage.train = Stage.train, seen
        return run(validate(small), two, report=False).status, mapped

    run(validate(table), one, report=False)
    # The first step sees rows that were placed in one piece, the second what both have pushed.
    assert together(task) == [("done", [False, True])] * 2
    assert not (two / "particles").exists()
    same(one, two, FILES[:2])
    points = [read_pieces(at / "state", "002.json")["points"] for at in (one, two)]
    assert torch.equal(*points)


def test_what_the_first_cannot_do_ends_all(whole):
    def task(rank):
        run(validate(TABLE), whole, report=False)

    first, second = together(task)
    assert "holds a run already" in str(first)
    assert (type(second), second.code) == (SystemExit, 2)


def test_what_one_cannot_compute_is_told_to_all(tmp_path):
    def task(rank):
        before = Stage.train

        def train(self, previous):
            block, report = before(self, previous)
            forward = block.inverse

            def inverse(y):
                if rank == 1:
                    raise RunError("no inverse here")
                return forward(y)

            block.inverse = inverse
            return block, report

        Stage.train = train
        run(validate(TABLE), tmp_path / "run", report=False)

    assert [(type(e), str(e)) for e in together(task)] == [(RunError, "no inverse here")] * 2


def test_other_commands_are_for_one_process(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    command("sweep", "x.toml").is_mistake("`wopt sweep` is for one process", "`wopt run`")


@pytest.mark.slow
def test_the_first_plans_for_all(tmp_path):
    table = {"source": TABLE["source"], "plan": {"budget": 1}, "certify": {"enabled": False}}
    out = tmp_path / "run"

    def task(rank):
        made = run_table(table, "", out, SILENT)
        return made.status, made.steps

    first, second = together(task)
    assert first == second
    assert first[0] == "done"


SCRIPT = """
import os, signal, sys, time
from wopt.cli.main import main
from wopt.train.stage import Stage
before = Stage.train
def train(self, previous):
    again = os.environ["TORCHELASTIC_RESTART_COUNT"] != "0"
    if os.environ["RANK"] == "1" and self.step == 1 and not again:
        {act}
    return before(self, previous)
Stage.train = train
main()
"""
ACTS = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "hung": "time.sleep(1000)",
    "interrupted": "os.kill(os.getppid(), signal.SIGINT)",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", ACTS)
def test_torchrun_ends_all_and_what_it_starts_again_goes_on(how, whole, tmp_path):
    """The whole way, with the launcher, which gives a process that hangs 30 s of grace."""
    script, config, out = tmp_path / "task.py", tmp_path / "run.toml", tmp_path / "run"
    config.write_text(tomli_w.dumps({**TABLE, "run": {"shards": 4, "timeout": 5.0}}))
    script.write_text(SCRIPT.format(act=ACTS[how]))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    began = time.monotonic()
    done = subprocess.run(
        [*launcher, "--max-restarts", "1", str(script), "run", str(config), "--out", str(out)],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert time.monotonic() - began < 240
    if how == "interrupted":
        assert done.returncode != 0
        assert json.loads((out / "result.json").read_text())["status"] == "stopped"
        assert resume(out, report=False).status == "done"
    else:
        assert done.returncode == 0, done.stderr[-2000:]
        assert "go on with `wopt resume" in done.stderr
    same(whole, out)
