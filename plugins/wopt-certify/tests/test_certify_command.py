"""``wopt certify`` as a user meets it: what it writes, says and refuses."""

import json

import numpy as np
import pytest

EPS_LABELS = {"bound given the eps seen"}


def certificate(path):
    return json.loads((path / "certificate.json").read_text())


def test_a_run_leaves_a_certificate(finished_run):
    found = certificate(finished_run)
    assert found["of"] == "KL(p_n | q)"
    assert found["origin"] == "fresh draws of the start"
    assert found["particles"] == 400
    assert found["lambda"] == 1.0
    assert [s["step"] for s in found["steps"]] == [1, 2]
    for step in found["steps"]:
        assert step["gap"] is None
        assert step["residual"]["by"] in ("critic", "affine")
        assert set(step["residuals"]) == {"affine", "critic"}
        known = {k: e for k, e in step["bounds"]["gap"].items() if e["value"] is not None}
        assert set(known) >= {"theorem_q", "log_sobolev"}
        assert {e["label"] for e in known.values()} <= EPS_LABELS
        assert step["bounds"]["gap"]["theorem_p"]["reason"] == "kl0 is not known"
        # So little training leaves maps that are no gradients.
        for name in ("a_priori", "theorem_s", "paper", "convex"):
            assert step["bounds"]["gap"][name]["reason"].startswith("hypothesis fails at step 1")
    kl = found["kl"]
    assert set(kl) >= {"lower", "level", "estimate", "upper", "upper_needs", "refuted", "by"}
    assert 0 < kl["lower"] <= kl["estimate"]
    assert kl["by"]
    assert found["statement"]["text"].startswith("KL(data | model) is at least")
    # What stands lies above the lower side; what lies below it is refuted by it.
    last = found["steps"][-1]["bounds"]["gap"]
    for entry in last.values():
        if entry["value"] is not None and not entry["refuted"]:
            assert entry["value"] >= kl["lower"]
    assert {r["name"] for r in kl["refuted"]} == {n for n, e in last.items() if e["refuted"]}
    if kl["upper"] is not None:
        assert kl["upper"] == found["statement"]["kl"] == found["final"]["gap"]["value"]
        assert kl["upper_needs"] == "every first-order error were as small as the largest seen"
    text = (finished_run / "report.html").read_text()
    assert "What is certified" in text
    assert f'<data value="{found["steps"][0]["transport"]["high"]["value"]}">' in text


def same(one, other):
    """Compare trees; BLAS may round the last bit differently from call to call."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"expected", "budget", "challenge", "seconds"}:
            same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
    else:
        assert one == other


def test_it_is_made_anew_the_same(command, finished):
    # How many challengers there are depends on the processor's clock.
    quiet = ("certify", finished, "--set", "challenge=false", "--set", "score_rows=50")
    assert command(*quiet).status == 0
    before = certificate(finished)
    assert before["challengers"] is None
    assert before["kl"]["lower"] is None
    assert "no lower side was measured" in before["statement"]["text"]
    (finished / "certificate.json").unlink()
    (finished / "report.html").unlink()
    answer = command(*quiet)
    assert answer.status == 0, answer.err
    same(certificate(finished), before)
    assert (finished / "report.html").is_file()
    assert before["statement"]["text"] in " ".join(answer.out.split())


@pytest.mark.slow
def test_again_repeats(command, finished):
    """Given the counts of a certificate, no clock is asked: the numbers are those of before."""
    answer = command("certify", finished, "--budget", "4s", "--json")
    assert answer.status == 0, answer.err
    first = certificate(finished)
    assert first["challengers"]["tried"]
    assert first["effort"]["two_sample"]
    for _ in range(2):
        assert command("certify", finished, "--again").status == 0
        again = certificate(finished)
        assert again["effort"] == first["effort"]
        same(again, first)
    (finished / "certificate.json").unlink()
    assert command("certify", finished, "--again").is_mistake("no certificate that could be repe")


def test_options_of_certify(command, finished):
    answer = command(
        "certify", finished, "--set", "particles=100", "--set", "iterations=0", "--set",
        "transport_rows=0", "--set", "level=0.5",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    found = certificate(finished)
    assert (found["particles"], found["level"]) == (100, 0.5)
    assert set(found["steps"][0]["residuals"]) == {"affine"}
    assert found["steps"][0]["transport"] is None


def test_mistakes(command, finished, tmp_path):
    assert command("certify", tmp_path / "none").is_mistake("is not a run directory")
    bad = command("certify", finished, "--set", "particle=3")
    assert bad.is_mistake("certify.particle", "unknown option", "particles")
    bad = command("certify", finished, "--set", "critic=affin")
    assert bad.is_mistake("certify.critic", "affin")
    state = finished / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    assert command("certify", finished).is_mistake("state.safetensors", "damaged")


def points_run(command, config, certified, folder, rows, **options):
    """Run on rows without a density, smoothed."""
    np.save(folder / "rows.npy", rows)
    certified["source"] = {
        "name": "array", "path": str(folder / "rows.npy"), "preprocess": "none",
        "columns": [0, 1], "kinds": {"x0": "continuous", "x1": "continuous"},
    }  # fmt: skip
    certified["smooth_time"] = 0.05
    certified["scheme"]["step_size"] = 1.0
    certified["solver"] = {"iterations": 20, "batch_size": 200, "learning_rate": 0.01}
    certified["block"] = {"name": "ode", "width": 16, "sharpness": 3.0, "steps": 4}
    for key, value in options.items():
        certified[key] = certified.get(key, {}) | value
    answer = command("run", config(certified), "--out", folder / "run")
    return answer, folder / "run"


@pytest.mark.parametrize("kind", ["a point mass", "two points"])
def test_data_without_a_density_get_the_mixed_statement(command, config, certified, tmp_path, kind):
    rows = np.full((1000, 2), 0.5)
    if kind == "two points":
        rows[::2] = -1.0
    answer, run = points_run(command, config, certified, tmp_path, rows)
    assert answer.status == 0, answer.err
    found = certificate(run)
    # (1.12) in closed form: (1 - e^-t)^2 E|X|^2 + d (1 - e^-2t).
    second = float(np.square(rows).sum(1).mean())
    t = 0.05
    # The rows that certify are a part of the data, so of another second moment for two points.
    low, high = (
        np.sqrt((1 - np.exp(-t)) ** 2 * m + 2 * (1 - np.exp(-2 * t)))
        for m in (0.9 * second, 1.1 * second)
    )
    cost = found["smoothing"]["w2_data_units"]
    assert low <= cost <= high
    if kind == "a point mass":
        assert cost == pytest.approx(
            np.sqrt((1 - np.exp(-t)) ** 2 * 0.5 + 2 * (1 - np.exp(-2 * t))), rel=1e-12
        )
        # (1.13) is an equality for a Dirac: KL(N(e^-t x, (1 - e^-2t) I) | N(0, I)).
        kl = (np.exp(-2 * t) * (0.5 - 2) - 2 * np.log(1 - np.exp(-2 * t))) / 2
        assert found["start"]["kl"] == pytest.approx(kl, rel=1e-9)
    assert found["statement"]["w2"] >= cost
    for step in found["steps"]:
        assert step["bounds"]["gap"]["theorem_p"]["value"] is not None
    result = json.loads((run / "result.json").read_text())
    assert result["nll_gaussian"] is None or kind == "two points"


def test_smoothing_leaves_no_density_to_push(command, config, certified, tmp_path):
    certified["source"] = {"name": "gaussian", "mean": [0.0, 0.0], "n_train": 200}
    certified["smooth_time"] = 0.1
    certified["model"] = "push_forward"
    answer = command("run", config(certified), "--out", tmp_path / "run")
    assert answer.is_mistake("push_forward", "smooth_time")
