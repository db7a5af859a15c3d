"""The headline: what is known from below beats what is bounded from above."""

import dataclasses

import pytest
import torch

import wopt
from wopt.errors import RunError
from wopt.store.result import GapKind
from wopt_certify.analysis import Analysis, later_fall, refute
from wopt_certify.bounds import Entry, Floor, Label, StepBounds, chain
from wopt_certify.certificate import notes_of
from wopt_certify.estimate import Estimate
from wopt_certify.gap import EscalationStep, Gap, LowerSide, floors_of

SIDE = LowerSide(
    1.84, 0.02, 1.81, 0.95, "autoregressive", 2000, (EscalationStep("ode", 3.0, 0.5, 0.1),)
)
DATA, TARGET = GapKind.KL_DATA_MODEL, GapKind.KL_MODEL_TARGET


def judged(bounds, of=DATA, label=Label.GIVEN_SEEN, lower=None, known=None):
    """Return the gap where bounds have yielded to what is known from below."""
    rows = [StepBounds({name: Entry(value, label) for name, value in bounds.items()})]
    (row,) = refute(rows, [floors_of(lower, known)], 1.0)
    return Gap.between(of, row.gap, needs="lambda = 1, as declared", lower=lower, known=known)


def test_a_lower_side_refutes_what_lies_below_it():
    found = judged({"theorem_q": 0.19, "paper": 2.5}, lower=SIDE)
    assert (found.lower, found.estimate, found.by) == (1.81, 1.84, SIDE.by)
    assert [(r.name, r.value) for r in found.refuted] == [("theorem_q", 0.19)]
    assert found.refuted[0].by == Floor(1.81, "the lower side (autoregressive)")
    assert str(found.refuted[0].by).endswith(": at least 1.81")
    assert found.text.startswith("KL(data | model) is at least 1.81 (95%, no assumption)")
    assert "found so far 1.84 by autoregressive" in found.text
    nothing = judged({}, lower=dataclasses.replace(SIDE, value=-0.02, low=-0.05))
    assert nothing.text.endswith("no density that was tried is better.")


def test_what_rests_on_the_errors_seen_is_no_headline():
    found = judged({"theorem_q": 0.19, "paper": 2.5}, lower=SIDE)
    assert (found.upper, [r.name for r in found.refuted]) == (None, ["theorem_q"])
    assert "at most" not in found.text
    found = judged({"theorem_q": 0.19, "paper": 2.5}, lower=SIDE, label=Label.GIVEN_EPS)
    assert found.upper == 2.5
    assert found.text.endswith("; at most 2.5 if lambda = 1, as declared.")


def test_without_a_challenger_it_is_said():
    found = judged({"theorem_q": 0.19})
    assert (found.lower, found.estimate, found.by) == (None, None, None)
    assert "no lower side was measured" in found.text


def test_a_negative_lower_side_refutes_nothing():
    side = LowerSide(-0.01, 0.02, -0.05, 0.95, "autoregressive", 100)
    found = judged({"theorem_q": 0.13}, lower=side)
    assert found.refuted == ()
    assert "at least 0 (95%" in found.text
    assert found.lower == -0.05


def test_a_known_divergence_is_both_sides_and_an_impossible_one_is_none():
    known = Estimate.of(0.5, 0.01, 0.95)
    found = judged({"theorem_q": 0.1, "paper": 0.9}, TARGET, Label.GIVEN_EPS, known=known)
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
    evidence = type("E", (), {"remarks": ("a remark",)})()
    found = Analysis(objective, evidence, 0.95, [], None)
    vars(found)["gaps"], vars(found)["bounds"] = [Estimate.of(-58.57, 0.1, 0.95)], []
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
