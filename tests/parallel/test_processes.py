"""Two real processes over gloo: the same maps, one that is killed, Ctrl-C, other counts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib

import pytest
import tomli_w
import torch
from teams import FILES, LIMIT, TABLE, near, same, together

from wopt.config.model import validate
from wopt.errors import RunError, TeamError
from wopt.runs.execute import resume, run_config
from wopt.train.stage import Stage

pytestmark = [
    pytest.mark.skipif(
        not torch.distributed.is_gloo_available(), reason="torch was built without gloo"
    ),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # Python 3.12, of threads
]


@pytest.fixture
def whole(zoo):
    """An unbroken run of one process."""
    return zoo("sharded")


def by(count, task):
    """Run a task in so many processes; one is this one."""
    return [task(0)] if count == 1 else together(task, count)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_resumes_with_another_number_of_processes(before, after, whole, tmp_path):
    out = tmp_path / "run"
    early = validate({**TABLE, "stop": {"steps": 1}})
    assert by(before, lambda _: run_config(early, out, report=False).steps) == [1] * before
    config = out / "config.toml"
    table = tomllib.loads(config.read_text())
    table["stop"]["steps"] = 3
    config.write_text(tomli_w.dumps(table))
    assert by(after, lambda _: resume(out, report=False).steps) == [3] * after
    near(whole, out)


def test_two_processes_give_the_maps_of_one_and_agree(whole, tmp_path):
    out = tmp_path / "run"

    def task(rank):
        sums = []
        before = Stage.train

        def train(self, previous):
            block, report = before(self, previous)
            sums.append([p.double().sum().item() for p in block.parameters()])
            return block, report

        Stage.train = train
        result = run_config(validate(TABLE), out, report=False)
        return result.status, result.steps, sums

    first, second = together(task)
    assert first == second
    assert first[:2] == ("done", 3)
    near(whole, out)
    results = [json.loads((at / "result.json").read_text()) for at in (whole, out)]
    assert results[0]["nll_test"] == pytest.approx(results[1]["nll_test"], rel=1e-7)


def test_a_killed_process_ends_the_other_and_one_process_goes_on(whole, tmp_path):
    out = tmp_path / "run"

    def task(rank):
        before = Stage.train

        def train(self, previous):
            if rank == 1 and self.step == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return before(self, previous)

        Stage.train = train
        run_config(validate(TABLE), out, report=False)

    first, second = together(task)
    assert second == -signal.SIGKILL
    assert isinstance(first, TeamError)
    assert "another process of this run has ended" in str(first)
    assert "wopt resume" in str(first)
    assert resume(out, report=False).status == "done"
    near(whole, out)


def test_a_process_that_hangs_is_given_up_in_time(tmp_path):
    table = {**TABLE, "run": {"timeout": 1.0}, "stop": {"steps": 1}}

    def task(rank):
        if rank == 1:
            before = Stage.train

            def train(self, previous):
                time.sleep(2.5)
                return before(self, previous)

            Stage.train = train
        began = time.monotonic()
        try:
            run_config(validate(table), tmp_path / "run", report=False)
        except TeamError as error:
            return str(error), time.monotonic() - began
        return None

    (output, seconds), other = together(task)
    assert "did not answer within run.timeout" in output
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
        return run_config(validate(TABLE), out, report=False).status

    assert together(task) == ["stopped", "stopped"]
    assert "go on with `wopt resume" in json.loads((out / "result.json").read_text())["reason"]
    assert together(lambda rank: resume(out, report=False).status) == ["done", "done"]
    near(whole, out)


def test_two_processes_repeat_themselves_to_the_bit(tmp_path):
    """Also where they begin anew after the first step."""
    table = {**TABLE, "stop": {"steps": 2}}
    two, again = (tmp_path / name for name in ("two", "again"))
    early, config = validate({**table, "stop": {"steps": 1}}), again / "config.toml"
    assert together(lambda _: run_config(validate(table), two, report=False).steps) == [2, 2]
    assert together(lambda _: run_config(early, again, report=False).steps) == [1, 1]
    config.write_text(config.read_text().replace("[stop]\nsteps = 1", "[stop]\nsteps = 2"))
    assert together(lambda _: resume(again, report=False).steps) == [2, 2]
    same(two, again, FILES[:2])


def test_pushed_particles_are_in_mapped_files(tmp_path):
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
        return run_config(validate(small), two, report=False).status, mapped

    run_config(validate(table), one, report=False)
    # The first step sees few rows, placed at once, the second what both pushed.
    assert together(task) == [("done", [False, True])] * 2
    assert not (two / "particles").exists()
    near(one, two, (*FILES[:2], "state"))


def test_what_the_first_cannot_do_ends_all(whole):
    def task(rank):
        run_config(validate(TABLE), whole, report=False)

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
        run_config(validate(TABLE), tmp_path / "run", report=False)

    assert [(type(e), str(e)) for e in together(task)] == [(RunError, "no inverse here")] * 2


def test_other_commands_are_for_one_process(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    command("sweep", "x.toml").is_mistake("`wopt sweep` is for one process", "`wopt run`")


@pytest.mark.parametrize("words", [("--help",), ("run", "-h"), ("sweep", "--help")])
def test_help_is_told_by_the_first_process_alone(command, monkeypatch, words):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    silent = command(*words)
    assert (silent.status, silent.out, silent.err) == (0, "", "")
    monkeypatch.setenv("RANK", "0")
    output = command(*words)
    assert (output.status, "Usage: " in output.out) == (0, True)


@pytest.mark.slow
def test_the_first_plans_for_all(tmp_path):
    table = {"source": TABLE["source"], "plan": {"budget": 1}, "certify": {"enabled": False}}
    out = tmp_path / "run"

    def task(rank):
        made = run_config(table, out)
        return made.status, made.steps

    first, second = together(task)
    assert first == second
    assert first[0] == "done"


AGENT = """
import os, signal
from wopt.cli.main import main
from wopt.train.stage import Stage
before = Stage.train
def train(self, previous):
    if os.path.exists({flag!r}) and os.environ["RANK"] == "1" and self.step == 1:
        os.remove({flag!r})
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return before(self, previous)
Stage.train = train
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("dies", [False, True], ids=["both", "one-agent-dies"])
def test_two_agents_as_on_two_machines(dies, whole, tmp_path):
    """Two launchers that meet at an address, as on two machines; one may go on without the other.

    The address is served by the first, so it is the second that dies, with its process.
    """
    script, config, out = tmp_path / "task.py", tmp_path / "run.toml", tmp_path / "run"
    config.write_text(tomli_w.dumps({**TABLE, "run": {"timeout": 10.0}}))
    flag = tmp_path / "dies"
    script.write_text(AGENT.format(flag=str(flag)))
    if dies:
        flag.touch()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes", "1:2" if dies else "2",
        "--nproc-per-node", "1", "--max-restarts", "2", "--rdzv-backend", "c10d",
        "--rdzv-id", "two", "--rdzv-endpoint", f"localhost:{port}", "--local-addr", "127.0.0.1",
    ]  # fmt: skip
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}

    def agent(conf):
        return subprocess.Popen(
            [*launcher, "--rdzv-conf", conf, str(script), "run", str(config), "--out", str(out)],
            env=environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    first = agent("is_host=1,last_call_timeout=5")
    second = agent("is_host=0,last_call_timeout=5")
    try:
        output = first.communicate(timeout=240)[1]
        assert first.returncode == 0, output[-2000:]
        assert second.wait(60) == (-signal.SIGKILL if dies else 0)
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
            process.stderr.close()
    assert dies == ("go on with `wopt resume" in output)
    assert not flag.exists()
    near(whole, out)
