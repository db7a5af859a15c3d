"""What a run says of itself: typed results, budgets, interrupts, and statements once false."""

import dataclasses
import json
import math

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.interfaces.listener import Listener
from wopt.runs import execute
from wopt.store.result import RunResult
from wopt_certify import run as running
from wopt_certify.bounds import steps_needed
from wopt_certify.effort import Effort, efforts
from wopt_certify.options import Certify
from wopt_certify.results import Certificate
from wopt_certify.run import certify_run

SIZES = {"n_train": 300, "n_valid": 100, "n_test": 200}
GAUSSIAN = {"name": "gaussian", "mean": [1.0, 0.0], **SIZES}


class Witness(Listener):
    """Remembers what it was told; interrupts where it is asked to."""

    def __init__(self, interrupt=None):
        self.told = []
        self.interrupt = interrupt

    def step(self, record):
        self._tell("step", record.step)

    def phase(self, what):
        self._tell("phase", what)

    def warn(self, text):
        self._tell("warn", text)

    def work(self, what, done, total, loss=math.nan):
        if what.startswith("certifying"):
            self._tell("work", done)

    def certificate(self, found):
        self._tell("certificate", found)

    def end(self, result, path=None):
        self._tell("end", result)

    def _tell(self, event, value):
        self.told.append((event, value))
        if self.interrupt == (event, value):
            raise KeyboardInterrupt

    def of(self, event):
        return [value for name, value in self.told if name == event]


def test_results_are_typed_and_read_back(certified, tmp_path):
    witness = Witness()
    result = execute.run_config(validate(certified), tmp_path / "run", witness)
    assert isinstance(result, RunResult)
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert RunResult.from_dict(stored) == result == witness.of("end")[0]
    (found,) = witness.of("certificate")
    stored = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert Certificate.from_dict(stored) == found
    assert [name for name, _ in witness.told if name in ("step", "certificate", "end")] == [
        "step", "step", "certificate", "end",
    ]  # fmt: skip
    assert witness.of("work") == [0, 1, 2]


def test_who_interrupts_training_does_not_wait(certified, tmp_path):
    out = tmp_path / "run"
    witness = Witness(interrupt=("step", 1))
    result = execute.run_config(validate(certified), out, witness)
    assert (result.status, result.steps) == ("stopped", 1)
    assert not (out / "certificate.json").exists()
    assert witness.of("warn") == [f"not certified; `wopt certify {out}` does it later"]
    assert len(certify_run(out).steps) == 1


def test_who_interrupts_certifying_keeps_the_run(certified, tmp_path):
    out = tmp_path / "run"
    witness = Witness(interrupt=("work", 1))
    result = execute.run_config(validate(certified), out, witness)
    assert result.status == "done"
    assert not (out / "certificate.json").exists()
    assert witness.of("warn") == [f"certifying was interrupted; `wopt certify {out}` does it later"]


def test_efforts_double_and_what_is_asked_for_is_kept():
    """The first looks at the last step alone; without a budget the largest is made."""
    made = list(efforts(Certify(), 3.0))
    assert (made[0].particles, made[0].iterations, made[0].last_only) == (1000, 25, True)
    assert (made[1].particles, made[1].last_only, made[1].plans) == (2000, False, True)
    assert (made[-1].particles, made[-1].iterations) == (20_000, 300)
    assert Effort.full(Certify()) == dataclasses.replace(made[-1], budget=None)
    (asked,) = efforts(Certify(particles=5000, iterations=77, score_rows=10))
    assert (asked.particles, asked.iterations, asked.score_rows) == (5000, 77, 10)
    assert not asked.last_only


class Broken(wopt.Measurement):
    """A part that fails, as code of others may."""

    document = Certificate

    def measure(self, run, budget=None, recorded=None):
        raise ZeroDivisionError("a part")


@pytest.mark.parametrize("which", ["Rivals", "FirstOrder", "TwoSample"])
def test_a_part_that_fails_is_told_of_and_the_others_stand(which, certified, tmp_path, monkeypatch):
    monkeypatch.setattr(getattr(running, which), "measure", Broken.measure)
    witness = Witness()
    result = execute.run_config(validate(certified), tmp_path / "run", witness)
    assert result.status == "done"
    found = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert "ZeroDivisionError: a part" in found["effort"]["left_out"]
    assert any("ZeroDivisionError: a part" in text for text in witness.of("warn"))
    assert (found["steps"] == []) == (which == "FirstOrder")
    assert (found["challengers"] is None) == (which == "Rivals")


@pytest.mark.slow
def test_the_score_is_pushed_in_many_dimensions(certified, tmp_path):
    """Above 16 dimensions it was left out without a word."""
    certified["source"] = {**GAUSSIAN, "mean": [1.0] * 20}
    certified["stop"] = {"steps": 1}
    execute.run_config(validate(certified), tmp_path / "run")
    found = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert found["steps"][0]["residual"]["by"] == "score"


class False_(wopt.Target):
    """exp(-V) integrates to e^50 (2 pi), yet NORMALISED is declared."""

    provides = (
        wopt.Capability.POTENTIAL | wopt.Capability.NORMALISED | wopt.Capability.TARGET_SAMPLES
    )
    convexity = 1.0
    smoothness = 1.0

    def potential(self, x):
        return x.square().sum(1) / 2 - 50

    def sample(self, n, dim, generator):
        return torch.randn(n, dim, generator=generator, dtype=torch.float64)


@pytest.mark.slow
def test_a_target_that_is_not_normalised_is_found_out(
    command, config, certified, tmp_path, session
):
    wopt.register("target", "false", False_)
    certified["source"] = GAUSSIAN
    certified["objective"] = {"name": "kl", "target": "false"}
    out = tmp_path / "run"
    answer = command("run", config(certified), "--out", out)
    assert answer.status == 0, answer.err
    found = json.loads((out / "certificate.json").read_text())
    last = found["steps"][-1]
    assert last["gap"]["raw"] < -40
    assert any("the target is not normalised" in note for note in found["notes"])
    assert (found["kl"]["estimate"], found["kl"]["lower"]) == (None, None)
    # KL at the start was found with the same density, so nothing follows from it.
    assert found["start"]["kl"] is None
    assert last["bounds"]["gap"]["theorem_p"]["reason"] == "kl0 is not known"
    assert "the target is not normalised" in (out / "report.html").read_text()


def test_a_sampler_is_named_by_its_target(command, config, certified, tmp_path):
    certified["source"] = GAUSSIAN
    certified["certify"]["score_rows"] = 50
    answer = command("run", config(certified), "--out", tmp_path / "run", "-v")
    assert answer.status == 0, answer.err
    found = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert found["kl"]["of"] == "KL(model | target)"
    assert "KL(model | target) is at least" in found["statement"]["text"]


def test_the_gap_of_a_sum_is_not_called_kl(command, config, certified, tmp_path, pictures):
    assert str(steps_needed(0.01, 1.0, 0.1, 1.0, kl0=0.001, of="G - min G")) == (
        "0 steps certify G - min G <= 0.01"
    )
    certified["source"] = GAUSSIAN
    certified["objective"] = {
        "name": "sum",
        "parts": [{"objective": "kl"}, {"weight": 0.5, "objective": {"name": "interaction"}}],
    }
    answer = command("run", config(certified), "--out", tmp_path / "run", "-v")
    assert answer.status == 0, answer.err
    said = " ".join(answer.out.split())
    found = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert (found["of"], found["kl"]) == ("G(p_n) - min G", None)
    assert found["gap"]["of"] == "G(p_N) - min G"
    assert "KL <=" not in said
    assert "G - min G <= 0.01" in found["final"]["steps_needed"]["text"]
    # Neither is the first part's target the target of the sum, nor the model beside itself.
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Target's samples" not in page
    assert "Generated beside" not in page
    assert ">Generated, column by column<" in page
    assert "There are no samples of the minimiser to compare these with" in page
