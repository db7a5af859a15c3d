"""Step-size rules: backtracking and equal arc length."""

import itertools
import json

import pytest

import wopt
from wopt.testing import AffineBlock, NormalTarget, run_scheme


def test_backtracking_shrinks_until_the_step_is_accepted(problems, make):
    """Explicit steps on a target that does not tell its limit, from far above it."""
    p = problems["line"]
    target = NormalTarget(p.n.tolist(), p.s.tolist())
    target.smoothness = None
    found = wopt.solve(
        p.nodes(),
        objective=wopt.build("objective", {"name": "kl", "target": target}),
        scheme=make("explicit", {"name": "backtracking", "initial": 8.0, "grow": 1.2}),
        block=AffineBlock(1),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
        guard=wopt.Guard(retries=8),
        stop=wopt.Stop(steps=4),
    )
    assert found.status == "done"
    sizes = [r.step_size for r in found.history]
    first = found.history[0]
    assert sizes[0] == 8.0 * 0.5**first.retries < 8.0
    assert (first.attempts[0].step_size, first.attempts[0].next_step_size) == (8.0, 4.0)
    assert str(first.attempts[0]).endswith("; h reduced from 8 to 4")
    assert all(b <= 1.2 * a * (1 + 1e-12) for a, b in itertools.pairwise(sizes))
    assert all(r.energy_change < 0 for r in found.history)


def test_backtracking_grows_to_the_initial_size_and_stops_shrinking():
    rule = wopt.build("step_size", {"name": "backtracking", "initial": 1.0, "smallest": 0.2})
    assert rule(5, previous=0.9) == 1.0
    assert rule.after_rejection(0.5) == 0.25
    assert rule.after_rejection(0.3) is None


def write_run(folder, found):
    folder.mkdir()
    lines = [json.dumps(r.to_dict()) for r in found.history]
    (folder / "steps.jsonl").write_text("\n".join(lines) + "\n")
    return str(folder)


def unevenness(found):
    moved = [r.w2_step for r in found.history]
    return max(moved) / min(moved)


def test_arc_length_evens_out_the_blocks(problems, make, tmp_path):
    """Train, re-space, refine: each round is nearer to equal lengths, in the same total time."""
    p = problems["rotated"]
    first = run_scheme(make("jko", 0.5), p, 6)
    one = write_run(tmp_path / "one", first)
    second = run_scheme(make("jko", {"name": "arc_length", "run": one}), p, 6)
    two = write_run(tmp_path / "two", second)
    third = run_scheme(make("jko", {"name": "arc_length", "run": two}), p, 6)
    assert sum(r.step_size for r in second.history) == pytest.approx(3.0)
    assert unevenness(first) > 5
    assert unevenness(second) < unevenness(first) / 2
    assert unevenness(third) < 1.5
    sizes = [r.step_size for r in third.history]
    assert sizes == sorted(sizes)  # the flow slows down


def test_arc_length_with_another_number_of_steps(problems, make, tmp_path):
    run = write_run(tmp_path / "run", run_scheme(make("jko", 0.5), problems["line"], 4))
    rule = wopt.build("step_size", {"name": "arc_length", "run": run, "steps": 3})
    sizes = [rule(n) for n in range(3)]
    assert sum(sizes) == pytest.approx(2.0)
    assert rule(7) == sizes[-1]


def lines(moved, count):
    record = {
        "step": 1, "step_size": 0.5, "energy": 0.0, "energy_change": 0.0, "w2_step": moved,
        "decrease": 0.0, "decrease_error": 0.0, "residual": None, "nll_valid": None,
        "likelihood_error": None, "inversion_error": None, "retries": 0, "attempts": [],
        "terms": {}, "loss": 0.0, "iterations": 1, "seconds": 1.0, "cpu_seconds": 1.0,
    }  # fmt: skip
    return count * (json.dumps(record) + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a run directory"),
        (lines(1.0, 1), r"has 1 step\(s\)"),
        (lines(0.0, 2), "did not move"),
        ("{broken\n", "is damaged"),
        (lines(None, 2), "is damaged"),
    ],
)
def test_arc_length_says_what_is_wrong_with_the_run(text, message, tmp_path):
    if text is not None:
        (tmp_path / "steps.jsonl").write_text(text)
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.build("step_size", {"name": "arc_length", "run": str(tmp_path)})
