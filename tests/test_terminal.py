"""What a person sees of a run: at most fifteen lines, the last ones a verdict and a path."""

import io
import json
import os

import pytest
import torch
from rich.console import Console
from zoo import people_table

import wopt
from wopt.cli.console import RunTerminal
from wopt.cli.output import on_this_line
from wopt.interfaces.listener import Listeners, OfStep
from wopt.report.verdict import verdict
from wopt.runs.terminal import PatientConsole, Terminal

DROP = ("--set", "source.nan=drop")


def test_the_journey_of_a_table_of_people(command, tmp_path):
    table = people_table(tmp_path / "people.csv")
    answer = command("run", table, "--budget", "6s", "--out", tmp_path / "run", *DROP)
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert len(lines) <= 15
    assert lines[0].startswith("people.csv: ")
    assert "sex, city" in lines[0]
    assert lines[-1] == f"report: {tmp_path / 'run' / 'report.html'}"
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    gain = result["nll_gaussian"] - result["nll_test"]
    words = f"a Gaussian is {abs(gain):.2f} nats {'worse' if gain >= 0 else 'better'}"
    assert words in answer.out
    assert "residual" not in answer.out
    assert "Not certified" not in answer.out


def test_a_budget_that_is_spent_before_training_still_ends_well(command, tmp_path):
    table = people_table(tmp_path / "people.csv")
    answer = command("run", table, "--budget", "0.01s", "--out", tmp_path / "run", *DROP)
    assert answer.status == 0
    assert "a gaussian is" in answer.out.lower()
    assert answer.out.splitlines()[-1].startswith("report: ")


def test_more_words(command, config, certified, tmp_path):
    certified["certify"] |= {"particles": 100, "iterations": 2, "transport_rows": 0}
    certified["stop"] = {"steps": 1}
    verbose = command("run", config(certified), "--out", tmp_path / "b", "-v")
    assert "residual>=" in verbose.out
    assert "test NLL (audited), nats" in verbose.out
    statement = json.loads((tmp_path / "b" / "certificate.json").read_text())["statement"]["text"]
    assert statement.split(";")[0].split()[0] in verbose.out


def test_what_was_not_certified_is_said(command, config, tiny, tmp_path):
    answer = command("run", config(tiny), "--out", tmp_path / "a")
    assert f"Not certified: `wopt certify {tmp_path / 'a'}`" in answer.out


def test_a_reader_that_leaves_does_not_end_the_run(config, tiny):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        console = PatientConsole(file=file, force_terminal=False)
        os.close(reader)
        solution = wopt.solve(**tiny, listener=Terminal(console))
    assert solution.status == "done"


def test_the_bar_shows_phase_budget_and_held_out_value(tmp_path):
    text = io.StringIO()
    terminal = RunTerminal()
    terminal.console = terminal.bar.live.console = Console(
        file=text, width=120, force_terminal=True
    )
    terminal.clock.budget = 40.0
    Listeners([OfStep(terminal, 1, "training")]).held_out(22.2)
    terminal.phase("certifying on 1,000 particles")
    terminal.work("step 1: training", 3, 8, 1.5)
    terminal.bar.refresh()
    terminal.close()
    shown = text.getvalue()
    assert "certifying on 1,000 particles" in shown
    assert "3/8, loss 1.5, held out 22.2" in shown
    assert "of 40 CPU s" in shown


def test_a_solution_prints_its_verdict():
    rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).exp()
    solution = wopt.fit(rows, block="affine", stop={"steps": 1}, solver={"iterations": 5})
    first, *words = str(solution).splitlines()
    assert first == repr(solution)
    assert words[0] == verdict(solution.result)[0]
    assert "a Gaussian is" in words[0].replace("A", "a")
    assert "`solution.certificate()`" in words[-1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('with `source.nan = "drop"`', "with `--set source.nan=drop`"),
        ("set `stop.challenge = 0.01` to end", "set `--set stop.challenge=0.01` to end"),
        ("options (`stop.steps`), or", "options (`stop.steps`), or"),
    ],
)
def test_what_to_type_on_this_line(text, shown):
    assert on_this_line(text) == shown
