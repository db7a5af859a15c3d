"""Bounds side by side: the right values, labels and reasons."""

import math

import numpy as np
import pytest

from wopt import UserError
from wopt_certify import bounds

H, EPS, MOVED = [0.5, 1.0, 2.0], [0.1, 0.2, 0.05], [1.0, 0.7, 0.3]
ALL = {
    "moved": MOVED,
    "w0": 3.0,
    "kl0": 4.0,
    "second_moments": [12.0, 8.0, 5.0, 4.0],
    "target_second_moment": 2.0,
    "fisher": [2.0, 1.0, 0.1],
}
KL = ("theorem_s", "theorem_p", "a_priori", "theorem_q", "log_sobolev", "convex", "paper")
W2 = ("theorem_s", "theorem_q", "paper", "moments", "transport_entropy")


def column(rows, of, name):
    return [getattr(row, of)[name].value for row in rows]


def test_every_column_is_its_function():
    lam = 0.8
    rows = bounds.chain(H, EPS, lam, **ALL)
    assert len(rows) == 3
    last = bounds.a_posteriori(np.array(MOVED), np.array(H), np.array(EPS), lam)
    expected = {
        ("w2", "theorem_s"): bounds.theorem_s(3.0, H, EPS, lam),
        ("w2", "theorem_q"): last.w2,
        ("w2", "paper"): bounds.paper_distance(3.0, H, EPS, lam),
        ("w2", "moments"): np.sqrt([10.0, 7.0, 6.0]),
        ("gap", "theorem_s"): bounds.theorem_s_gap(3.0, H, EPS, lam),
        ("gap", "theorem_p"): bounds.theorem_p(4.0, H, EPS, lam),
        ("gap", "a_priori"): bounds.a_priori(3.0, H, EPS, lam),
        ("gap", "theorem_q"): last.kl,
        ("gap", "log_sobolev"): np.array([2.0, 1.0, 0.1]) / 1.6,
        ("gap", "convex"): bounds.convex_last(3.0, H, EPS),
        ("gap", "paper"): bounds.paper_gap(3.0, H, EPS, lam),
    }
    for (of, name), values in expected.items():
        assert column(rows, of, name) == pytest.approx(values.tolist(), rel=1e-14), name
    smallest = np.min([values for (of, _), values in expected.items() if of == "gap"], axis=0)
    assert [row.best_gap.value for row in rows] == pytest.approx(smallest.tolist())
    assert column(rows, "w2", "transport_entropy") == pytest.approx(
        np.sqrt(2 * smallest / lam).tolist()
    )
    assert [row.best_tv.value for row in rows] == pytest.approx(bounds.tv(smallest).tolist())
    for row in rows:
        assert set(row.gap) == {*KL, "forward_backward"}
        assert set(row.w2) == {*W2, "forward_backward"}
        for entry in [*row.w2.values(), *row.gap.values()]:
            assert (entry.value is None) == bool(entry.reason) == (entry.label is None)
            assert "\n" not in entry.reason


def test_labels_follow_from_what_went_in():
    rows = bounds.chain(H, EPS, 0.8, **ALL)
    assert {rows[0].gap[name].label for name in KL} == {"bound given eps", "estimate"}
    assert rows[0].gap["log_sobolev"].label == rows[0].w2["moments"].label == "estimate"
    exact = bounds.chain(H, [0.0, 0.0, 0.1], 0.8, **ALL)
    assert [row.gap["theorem_p"].label for row in exact] == ["exact", "exact", "bound given eps"]
    # The best bound carries its label into the distance and the total variation.
    assert rows[2].best_gap == rows[2].gap["theorem_q"]
    assert rows[2].best_tv.label == rows[2].w2["transport_entropy"].label == "bound given eps"


def test_a_zero_residual_later_does_not_make_a_run_exact():
    rows = bounds.chain([1.0, 1.0], [0.1, 0.0], 1.0, w0=3.0, moved=[1.0, 1.0])
    assert rows[1].gap["a_priori"].label == "bound given eps"
    assert rows[1].gap["theorem_q"].label == "exact"


def test_missing_inputs_are_named():
    row = bounds.chain(H, EPS, 0.8)[0]
    reasons = {name: entry.reason for name, entry in row.gap.items()}
    assert reasons["a_priori"] == reasons["paper"] == "w0 is not known"
    assert reasons["theorem_p"] == "kl0 is not known"
    assert reasons["theorem_q"] == "moved is not known"
    assert reasons["log_sobolev"] == "fisher is not known"
    assert row.best_gap.reason == "no bound of the gap is available"
    assert row.best_gap == row.best_tv == row.w2["transport_entropy"]


def test_an_unknown_residual_breaks_chains_but_not_theorem_q():
    rows = bounds.chain(H, [0.1, None, 0.05], 0.8, moved=[1.0, 0.7, math.nan], w0=3.0)
    for name in ("theorem_s", "a_priori", "convex", "paper"):
        assert rows[0].gap[name].value is not None
        for row in rows[1:]:
            assert row.gap[name].reason == "errors of step 2 is not known"
    assert [row.gap["theorem_q"].reason for row in rows] == [
        "",
        "errors of step 2 is not known",
        "moved of step 3 is not known",
    ]


def test_without_convexity():
    rows = bounds.chain(H, EPS, -0.2, **ALL)
    has = {name for name, entry in rows[2].gap.items() if entry.value is not None}
    assert has == {"theorem_s"}
    assert "Polyak-Lojasiewicz" in rows[0].gap["theorem_p"].reason
    assert rows[0].gap["convex"].reason == "needs lambda >= 0, got -0.2"
    assert "lambda > 0" in rows[0].gap["paper"].reason
    assert "log-Sobolev" in rows[0].w2["transport_entropy"].reason
    # Steps too long for the subproblem to be convex.
    rows = bounds.chain(H, EPS, -0.6, **ALL)
    assert "choose smaller steps" in rows[0].gap["theorem_s"].reason


def test_without_strong_convexity_there_is_the_convex_bound():
    row = bounds.chain(H, EPS, 0.0, w0=3.0)[-1]
    assert row.gap["convex"].value == pytest.approx(bounds.convex_last(3.0, H, EPS)[-1])
    assert row.best_gap.value == min(row.gap["convex"].value, row.gap["theorem_s"].value)


@pytest.mark.parametrize("base", ["other", "forward", "none"])
def test_what_holds_depends_on_the_base(base):
    rows = bounds.chain([0.2, 0.4, 0.5], EPS, 0.8, **ALL, base=base, smoothness=2.0)
    has = {name for name, entry in rows[0].gap.items() if entry.value is not None}
    assert (
        has
        == {
            "other": {"theorem_q", "log_sobolev"},
            "forward": {"theorem_q", "log_sobolev", "forward_backward"},
            "none": {"log_sobolev"},
        }[base]
    )
    assert "do not chain" in rows[0].gap["theorem_p"].reason
    if base == "forward":
        found = bounds.forward_backward(3.0, [0.2, 0.4, 0.5], EPS, 0.8, 2.0)
        assert column(rows, "gap", "forward_backward") == pytest.approx(found.kl.tolist())
        assert column(rows, "w2", "forward_backward") == pytest.approx(found.w2.tolist())


def test_forward_steps_that_are_too_long_or_not_smooth():
    def reasons(h, lam=0.8, **rest):
        row = bounds.chain([h], [0.1], lam, moved=[1.0], w0=3.0, base="forward", **rest)[0]
        return row.gap["forward_backward"].reason, row.gap["theorem_q"].reason

    assert reasons(0.4, smoothness=2.0) == ("", "")
    long, none = reasons(0.9, smoothness=2.0)
    assert "h <= 1/L" in long
    assert none == ""
    assert reasons(1.1, smoothness=2.0)[1] == "needs h <= 2/L for the explicit part"
    assert reasons(0.4) == ("smoothness is not known",) * 2
    assert "not convex" in reasons(0.4, lam=-0.1, smoothness=2.0)[1]


def test_no_steps_no_rows():
    assert bounds.chain([], [], 1.0, w0=3.0) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"moved": [1.0]}, "moved has 3 numbers"),
        ({"fisher": [1.0, -1.0, 1.0]}, "fisher cannot be negative"),
        ({"second_moments": [1.0, 1.0, 1.0]}, "second_moments has 4 numbers"),
        ({"w0": -1.0}, "w0 cannot be negative"),
        ({"step_sizes": [[1.0], [1.0], [1.0]]}, "one run"),
        ({"errors": [0.1]}, "for each step"),
    ],
)
def test_bad_arguments_are_explained(given, says):
    with pytest.raises(UserError, match=says):
        bounds.chain(**{"step_sizes": H, "errors": EPS, "lam": 1.0, **given})
