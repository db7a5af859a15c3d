"""`--json` prints one object on standard output, `--quiet` what went wrong and nothing else."""

import json

import numpy as np
import pytest

from wopt.cli.output import Quiet


@pytest.fixture
def quick(tiny):
    tiny["certify"] = {"enabled": False}
    tiny["solver"]["iterations"] = 5
    return tiny


def test_run_and_resume(command, config, quick, tmp_path):
    path = config(quick)
    answer = command("run", path, "--out", tmp_path / "a", "--json")
    output = json.loads(answer.out)
    saved = json.loads((tmp_path / "a" / "result.json").read_text())
    assert {key: output[key] for key in saved} == saved
    assert (output["status"], output["certificate"]) == ("done", None)
    assert output["report"] == str(tmp_path / "a" / "report.html")
    again = json.loads(command("resume", tmp_path / "a", "--json").out)
    assert again["nll_test"] == output["nll_test"]
    answer = command("run", path, "--out", tmp_path / "b", "--quiet")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    answer = command("resume", tmp_path / "b", "-q")
    assert (answer.status, answer.out, answer.err) == (0, "", "")


def test_a_run_that_fails_is_quiet_about_nothing_else(command, config, quick, tmp_path):
    quick["solver"]["learning_rate"] = 1e6
    quick["guard"] = {"retries": 0}
    answer = command("run", config(quick), "--out", tmp_path / "a", "-q")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("failed: ")
    answer = command("run", config(quick), "--out", tmp_path / "b", "--json")
    assert answer.status == 1
    assert json.loads(answer.out)["status"] == "failed"


def test_certify(command, finished):
    answer = command("certify", finished, "--json")
    saved = json.loads((finished / "certificate.json").read_text())
    assert json.loads(answer.out) == saved
    output = json.loads(command("resume", finished, "--json").out)
    assert output["certificate"]["gap"]["of"] == saved["gap"]["of"]
    answer = command("certify", finished, "-q")
    assert (answer.status, answer.out) == (0, "")


def test_score_and_sample(command, finished, tmp_path):
    x, scores = tmp_path / "x.npy", tmp_path / "scores.npy"
    np.save(x, np.random.default_rng(0).normal(size=(50, 2)))
    output = json.loads(command("score", finished, x, "-o", scores, "--json").out)
    values = np.load(scores)
    assert output["mean_log_likelihood"] == pytest.approx(values.mean())
    assert output["standard_error"] == pytest.approx(values.std(ddof=1) / 50**0.5)
    assert (output["rows"], output["missing"], output["lower_bound"]) == (50, 0, False)
    answer = command("score", finished, x, "-o", scores, "-q")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    answer = command("sample", finished, "-n", 5, "-o", x, "-q")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    output = json.loads(command("sample", finished, "-n", 5, "-o", x, "--json").out)
    assert output == {"out": str(x), "samples": 5, "not_finite": 0, "warnings": []}


def test_validate_and_plan(command, config, quick):
    path = config(quick)
    output = json.loads(command("validate", path, "--json").out)
    assert output["valid"]
    assert output["config"]["seed"] == quick["seed"]
    assert output["about"][0].startswith("data: 300 + 200 + 200 rows")
    plain = {key: value for key, value in quick.items() if key in ("seed", "source")}
    output = json.loads(command("plan", config(plain), "--budget", "2s", "--json").out)
    assert output["config"]["plan"]["budget"] in (2, "2s")
    assert output["config"]["plan"]["summary"] == output["told"]


def test_compare(command, finished, finished_run, tmp_path):
    page = tmp_path / "page.html"
    output = json.loads(command("compare", finished, finished_run, "-o", page, "--json").out)
    assert [run["nll_test"] for run in output["runs"]] == [
        json.loads((run / "result.json").read_text())["nll_test"]
        for run in (finished, finished_run)
    ]
    assert {(duel["model"], duel["by"]) for duel in output["duels"]} <= {
        (a["name"], b["name"]) for a in output["runs"] for b in output["runs"] if a is not b
    }
    assert output["page"] == str(page)
    assert page.exists()


def test_sweep(command, config, quick, tmp_path):
    quick["stop"]["steps"] = 1
    words = ("sweep", config(quick), "--grid", "scheme.step_size=1,2", "--out", tmp_path / "s")
    output = json.loads(command(*words, "--json").out)
    values = [setting["value"] for setting in output["settings"]]
    assert values == sorted(values)
    assert {tuple(s["setting"]) for s in output["settings"]} == {
        ("scheme.step_size=1",), ("scheme.step_size=2",),
    }  # fmt: skip
    answer = command(*words, "-q")
    assert (answer.status, answer.out) == (0, "")


def test_quiet_passes_warnings_on(capsys):
    Quiet().warn("the disk is nearly full")
    assert capsys.readouterr() == ("", "warning: the disk is nearly full\n")
