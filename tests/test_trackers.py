"""Trackers of solves from Python: told as those of a run directory, and no solve ends by them."""

import json

import pytest
import torch

import wopt

OPTIONS = {"block": "affine", "solver": {"iterations": 20}, "seed": 4, "stop": {"steps": 2}}
TIMES = {"seconds", "cpu_seconds"}


class Lines(wopt.Tracker):
    """A line of JSON for all that it is told."""

    def __init__(self, path: str) -> None:
        self.path = path

    def start(self, config):
        self._write("start", config)

    def step(self, record):
        self._write("step", record)

    def end(self, result):
        self._write("end", result)

    def _write(self, event, value):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps([event, value]) + "\n")

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


class Broken(wopt.Tracker):
    """Fails at every step."""

    def step(self, record):
        raise OSError("no server answers")


def rows():
    return torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * 2 + 1


def same(a, b):
    """Whether two records are the same but for the time they took; NaN is NaN."""
    assert a.keys() == b.keys()
    for key in a.keys() - TIMES:
        if isinstance(a[key], float):  # sums differ in the last digit by where memory lies
            assert a[key] == pytest.approx(b[key], rel=1e-12, nan_ok=True), key
        else:
            assert a[key] == b[key], key
    return True


def test_a_fit_tells_its_tracker_what_its_solution_holds(tmp_path):
    tracker = Lines(str(tmp_path / "lines.jsonl"))
    fitted = wopt.fit(rows(), **OPTIONS, tracker=tracker, listener=False)
    events = tracker.read()
    assert [event for event, _ in events] == ["start", "step", "step", "end"]
    config = events[0][1]
    assert config["seed"] == 4
    assert config["block"]["name"] == "affine"
    assert config["source"] == {"name": "Rows"}  # rows in memory have no table
    assert config["tracker"] == {"name": "Lines"}
    for (_, output), record in zip(events[1:3], fitted.history, strict=True):
        assert same(output, json.loads(json.dumps(record.to_dict())))
    end = events[3][1]
    assert (end["status"], end["steps"], end["model"]) == ("done", 2, "pull_back")
    assert end["reason"] == fitted.reason
    fitted.resume(stop={"steps": 3}, listener=False)
    assert [event for event, _ in tracker.read()][4:] == ["start", "step", "end"]


def test_a_solve_and_a_run_tell_the_same(tmp_path):
    wopt.register("tracker", "lines", Lines)
    table = {"source": {"name": "gaussian", "dim": 2, "mean": 1.0, "n_train": 300}, **OPTIONS}
    table["certify"] = {"enabled": False, "draws": 500}
    output = {}
    for name in ("solve", "run"):
        tracker = {"name": "lines", "path": str(tmp_path / name)}
        if name == "run":
            wopt.run({**table, "tracker": tracker}, tmp_path / "out", listener=False)
        else:
            wopt.solve(**table, tracker=tracker, listener=False)
        output[name] = Lines(tracker["path"]).read()
    kinds = [[event for event, _ in events] for events in output.values()]
    assert kinds[0] == kinds[1] == ["start", "step", "step", "end"]
    for (_, one), (_, other) in zip(output["solve"][1:3], output["run"][1:3], strict=True):
        assert same(one, other)
    for key in ("source", "objective", "scheme", "block", "solver", "stop", "seed"):
        assert output["solve"][0][1][key] == output["run"][0][1][key]
    lines = (tmp_path / "out/steps.jsonl").read_text().splitlines()
    for line, (_, record) in zip(lines, output["run"][1:3], strict=True):
        assert same(json.loads(line), record)


def test_a_run_directory_may_not_choose_who_is_told(command, tmp_path):
    """It may be a stranger's, and a tracker writes where its options say."""
    wopt.register("tracker", "lines", Lines)
    table = {"source": {"name": "gaussian", "dim": 2, "mean": 1.0, "n_train": 300}, **OPTIONS}
    table["certify"] = {"enabled": False, "draws": 500}
    lines = tmp_path / "lines"
    wopt.run({**table, "tracker": {"name": "lines", "path": str(lines)}}, tmp_path / "out",
             listener=False)  # fmt: skip
    before = lines.read_text()
    answer = command("resume", tmp_path / "out")
    assert answer.status == 0
    assert "the tracker 'lines' is not told" in answer.out + answer.err
    assert lines.read_text() == before
    assert 'name = "lines"' in (tmp_path / "out/config.toml").read_text()
    answer = command("resume", tmp_path / "out", "--allow-tracker")
    assert "is not told" not in answer.out + answer.err
    assert len(lines.read_text()) > len(before)


def test_a_tracker_that_fails_is_told_of_once_and_loses_nothing():
    with pytest.warns(RuntimeWarning, match="tracker failed at step: OSError: no server") as seen:
        fitted = wopt.fit(rows(), **OPTIONS, tracker=Broken(), listener=False)
    assert len(seen) == 1
    assert (fitted.status, fitted.state.step) == ("done", 2)
    plain = wopt.fit(rows(), **OPTIONS, listener=False)
    assert torch.equal(fitted.flow.log_prob(rows()), plain.flow.log_prob(rows()))

    class Ear(wopt.Listener):
        heard = ()

        def warn(self, text):
            self.heard += (text,)

    ear = Ear()  # somebody who listens is told instead
    wopt.fit(rows(), **OPTIONS, tracker=Broken(), listener=ear)
    (heard,) = ear.heard
    assert heard.startswith(
        "the tracker failed at step: OSError: no server answers (tracker Broken"
    )


def test_a_posterior_tells_its_tracker_of_its_maps(tmp_path):
    tracker = Lines(str(tmp_path / "lines.jsonl"))
    made = wopt.sample(
        lambda x: -x.square().sum(1) / 2,
        dim=2,
        n=200,
        iterations=20,
        tracker=tracker,
        listener=False,
    )
    events = tracker.read()
    assert [event for event, _ in events][:2] == ["start", "step"]
    assert events[0][1]["objective"]["target"]["name"] == "potential"
    assert events[-1][1]["steps"] == len(events) - 2 == len(made.flow.blocks)
