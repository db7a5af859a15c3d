"""The headline: what is known from below beats what is bounded from above."""

import dataclasses
import math

import pytest
import torch

import wopt
from wopt.errors import RunError
from wopt.store.result import GapKind
from wopt_certify.analysis import Analysis, later_fall, refute
from wopt_certify.bounds import Entry, Floor, Label, StepBounds, chain
from wopt_certify.certificate import notes_of
from wopt_certify.effort import Effort
from wopt_certify.estimate import Estimate
from wopt_certify.gap import Gap, floors_of
from wopt_certify.lower import EscalationStep, LowerSide
from wopt_certify.start import Start

SIDE = LowerSide(
    1.84, 0.02, 1.81, 0.95, "autoregressive", 2000, (EscalationStep("ode", 3.0, 0.5, 0.1),)
)
DATA, TARGET = GapKind.KL_DATA_MODEL, GapKind.KL_MODEL_TARGET


def judged(bounds, of=DATA, label=Label.GIVEN_SEEN, lower=None, known=None):
    """Return the gap where bounds have yielded to what is known from below."""
    rows = [StepBounds({name: Entry(value, label) for name, value in bounds.items()})]
    (row,) = refute(rows, [floors_of(lower, known)], 1.0)
    return Gap.between(of, row.gap, needs="eps is as seen", lower=lower, known=known)


def test_a_lower_side_refutes_what_lies_below_it():
    found = judged({"theorem_q": 0.19, "paper": 2.5}, lower=SIDE)
    assert (found.lower, found.estimate, found.upper, found.by) == (1.81, 1.84, 2.5, SIDE.by)
    assert [(r.name, r.value) for r in found.refuted] == [("theorem_q", 0.19)]
    assert found.refuted[0].by == Floor(1.81, "the lower side (autoregressive)")
    assert str(found.refuted[0].by).endswith(": at least 1.81")
    assert found.text.startswith("KL(data | model) is at least 1.81 (95%, no assumption)")
    assert "best estimate 1.84 (estimate: the ladder of challengers by effort)" in found.text
    assert "at most 2.5 only if eps is as seen" in found.text


def test_where_all_are_refuted_none_is_the_headline():
    found = judged({"theorem_q": 0.19}, lower=SIDE)
    assert found.upper is None
    assert found.upper_needs is None
    assert "no bound from above stands" in found.text


LEARNED = LowerSide(
    0.3,
    0.02,
    0.25,
    0.95,
    "tree",
    2000,
    (EscalationStep("a", 1.0, 0.2, 0.02), EscalationStep("b", 2.0, 0.3, 0.02)),
)
"""Its estimate is 0.3 + (0.3 - 0.2)."""


def test_a_bound_below_the_estimate_is_no_upper_side():
    found = judged({"theorem_q": 0.35}, lower=LEARNED)
    assert found.estimate == pytest.approx(0.4)
    assert found.upper is None
    assert [(r.name, r.value) for r in found.refuted] == [("theorem_q", 0.35)]
    assert found.refuted[0].by.estimated
    upper_end = 0.4 + 1.96 * math.hypot(0.02, 0.05)
    assert found.refuted[0].by.value == pytest.approx(upper_end, rel=1e-3)
    assert str(found.refuted[0].by).startswith("the upper end of the best estimate, which is not ")
    assert "no upper side: what the errors seen would allow is within the error of" in found.text
    assert judged({"theorem_q": 0.5}, lower=LEARNED).upper is None
    assert judged({"theorem_q": 0.52}, lower=LEARNED).upper == 0.52
    # What lies below the lower side is refuted by it, which is a fact.
    by = [r.by for r in judged({"theorem_q": 0.2, "theorem_p": 0.3}, lower=LEARNED).refuted]
    assert by == [floors_of(LEARNED, None)[0], floors_of(LEARNED, None)[1]]
    assert [floor.estimated for floor in by] == [False, True]


def test_weak_critics_give_no_upper_side():
    assert not Effort(1000, 25, 50, budget=1.0).sufficient
    assert Effort(1000, 25, 50).sufficient
    assert Effort(1000, 75, 50, budget=1.0).sufficient
    found = Gap.between(GapKind.KL_DATA_MODEL, {}, lower=LEARNED, hidden=True)
    assert found.upper is None
    assert "no upper side: too little was looked for" in found.text


def test_an_estimate_does_not_refute_theorems_about_true_errors():
    found = judged({"theorem_q": 0.35}, label=Label.GIVEN_EPS, lower=LEARNED)
    assert (found.upper, found.refuted) == (0.35, ())
    known = Estimate.of(0.3, 0.01, 0.95)
    assert not any(floor.estimated for floor in floors_of(LEARNED, known))
    assert judged({"theorem_q": 0.35}, TARGET, lower=LEARNED, known=known).upper == 0.35


def test_estimates_mark_the_bounds_of_the_last_step():
    rows = chain([1.0], [0.3], 1.0, kl0=0.5, moved=[0.2], seen={1})
    estimate = floors_of(LEARNED, None)[1]
    row = refute(rows, [[Floor(0.01, "a fact"), estimate]], 1.0)[0]
    values = {n: e for n, e in row.gap.items() if e.value is not None}
    low = {n for n, e in values.items() if e.value < 0.4}
    assert low
    assert {n for n, e in values.items() if e.refuted == estimate} == {
        n for n in low if values[n].label is Label.GIVEN_SEEN
    }


def test_without_a_challenger_it_is_said():
    found = judged({"theorem_q": 0.19})
    assert (found.lower, found.estimate, found.by) == (None, None, None)
    assert "no lower side was measured" in found.text


def test_a_negative_lower_side_refutes_nothing():
    side = LowerSide(-0.01, 0.02, -0.05, 0.95, "autoregressive", 100)
    found = judged({"theorem_q": 0.13}, lower=side)
    assert found.refuted == ()
    assert found.upper == 0.13
    assert "at least 0 (95%" in found.text
    assert found.lower == -0.05


def test_what_the_rows_cannot_tell_from_nothing_is_no_upper_side():
    """12.5/n: of N(m, 1) and N(0, 1) the log-ratio has mean m^2/2 and variance m^2 = 2 KL."""
    side = LowerSide(0.0, 0.0, 0.0, 0.95, "autoregressive", 2500)
    assert side.unseen == 0.005
    m = math.sqrt(2 * side.unseen)
    assert side.unseen == pytest.approx(2.5 * m / math.sqrt(side.rows))
    found = judged({"theorem_q": 0.004, "paper": 0.006}, lower=side)
    assert found.upper == 0.006
    assert [(r.name, str(r.by)) for r in found.refuted] == [
        ("theorem_q", "what 2,500 rows cannot tell from 0: about 0.005")
    ]


def test_a_known_divergence_is_both_sides_and_an_impossible_one_is_none():
    known = Estimate.of(0.5, 0.01, 0.95)
    found = judged({"theorem_q": 0.1, "paper": 0.9}, TARGET, known=known)
    assert (found.lower, found.estimate, found.upper) == (known.low, 0.5, 0.9)
    assert "no assumption" not in found.text
    false = Estimate.of(-58.57, 0.1, 0.95)
    assert (false.value, false.raw, false.impossible) == (0.0, -58.57, True)
    assert not Estimate.of(-0.2, 0.1, 0.95).impossible
    assert judged({"theorem_q": 0.1}, TARGET, known=false).estimate is None
    assert floors_of(None, false) == []


def test_the_run_itself_refutes_by_a_later_fall():
    rng = torch.Generator().manual_seed(0)
    end = torch.randn(1000, generator=rng).double()
    now = end + 0.3 + 0.1 * torch.randn(1000, generator=rng).double()
    fall = later_fall(now, end, 0.95)
    # 0.3 less 1.645 standard errors of 0.1 / sqrt(1000), of pairs.
    assert fall.value == pytest.approx(0.3 - 1.645 * 0.1 / 1000**0.5, abs=4 * 0.1 / 1000**0.5)
    assert later_fall(end, now, 0.95) is None
    assert later_fall(None, end, 0.95) is None
    rows = chain([1.0] * 3, [0.01] * 3, 1.0, kl0=0.5, moved=[0.3, 0.9, 0.1])
    found = refute(rows, [[fall], [None], [None]], 1.0)
    first, second, third = found
    # Q after the first step is (0.31)^2/2 = 0.048, P is 0.131: the energy falls by 0.295.
    assert {n for n, e in first.gap.items() if e.refuted} == {"theorem_p", "theorem_q"}
    assert first.best_gap.value is None
    assert first.w2["theorem_q"].refuted
    assert first.w2["transport_entropy"].value is None
    # P is made of the errors before, Q of its own step's alone.
    assert second.gap["theorem_p"].refuted == dataclasses.replace(fall, step=1)
    assert str(second.gap["theorem_p"].refuted) == f"at step 1, {fall}"
    assert third.gap["theorem_p"].refuted == second.gap["theorem_p"].refuted
    assert second.best_gap == second.gap["theorem_q"]


BY_SEEN = StepBounds(
    {"theorem_q": Entry(0.1, Label.GIVEN_SEEN, refuted=Floor(0.5, "a fact", step=2))}
)


def test_it_is_read_back_and_checked():
    found = judged({"theorem_q": 0.19, "paper": 2.5}, lower=SIDE)
    assert Gap.from_dict(found.to_dict()) == found
    assert LowerSide.from_dict(SIDE.to_dict()) == SIDE
    assert StepBounds.from_dict(BY_SEEN.to_dict()) == BY_SEEN
    written = BY_SEEN.to_dict()["gap"]["theorem_q"]
    assert (written["label"], written["refuted"]) == (
        "bound given the eps seen", "at step 2, a fact: at least 0.5",
    )  # fmt: skip
    output = found.to_dict()["refuted"][0]
    assert {k: output[k] for k in ("name", "value", "by")} == {
        "name": "theorem_q", "value": 0.19,
        "by": "the lower side (autoregressive): at least 1.81",
    }  # fmt: skip
    keys = {"lower", "level", "estimate", "upper", "upper_needs", "refuted", "by", "of"}
    assert keys <= set(found.to_dict())
    with pytest.raises(RunError, match="it has no `level`"):
        Gap.from_dict({k: v for k, v in found.to_dict().items() if k != "level"})
    with pytest.raises(RunError, match=r"lower: .*number, got 'low'"):
        Gap.from_dict(found.to_dict() | {"lower": "low"})


def test_the_note_names_who_claims_what_is_false():
    objective = wopt.build("objective", "kl")
    false = [Estimate.of(-58.57, 0.1, 0.95)]
    evidence = type("E", (), {"remarks": ("a remark",)})()
    found = Analysis(objective, evidence, 0.95, [], false, Start(), "previous", 1.0, None, None, [])
    notes = notes_of(found)
    assert "-58.57" in notes[0]
    assert "the target is not normalised" in notes[0]
    assert "GaussianTarget" in notes[0] or "Gaussian" in notes[0]
    assert notes[1] == "a remark"


def test_a_refuted_bound_that_is_told_in_words_alone_is_not_read_as_standing():
    """Certificates of before had no ``refuted_by``."""
    table = Entry(0.1, Label.GIVEN_SEEN).to_dict()
    del table["refuted_by"]
    assert Entry.from_dict(table) == Entry(0.1, Label.GIVEN_SEEN)
    with pytest.raises(RunError, match="refuted: Input should be an object"):
        Entry.from_dict(table | {"refuted": "a fact: at least 0.5"})
