"""The verdict says what the documents say, and nothing else."""

import dataclasses

import pytest
import torch

from wopt.report.verdict import verdict
from wopt.runs.evaluate import far_rows
from wopt.store.result import GapKind, RunResult

RESULT = RunResult("done", "", 1, nll_test=22.0, nll_gaussian=22.95, rows=378)
GAP = {"of": "KL(data | model)", "lower": 0.05, "level": 0.95, "estimate": 0.12, "upper": None}
COLUMNS = [{"name": name, "p_value": p} for name, p in (("sex", 0.0), ("city", 0.01), ("age", 0.4))]
TESTS = {"differs": True, "level": 0.95, "columns": COLUMNS}
WRONG = {"distance": {"verdict": "not calibrated"}, "density": None}


def gap(**changes):
    return {"gap": GAP | changes}


@pytest.mark.parametrize(
    ("certificate", "first"),
    [
        (gap(), "At least 0.05 nats a row from the law of the data (95 %), 0.12 found so far"),
        (gap(lower=-0.1, estimate=-0.01),
         "No other density that was tried is better for certain (95 %)"),
        (gap(lower=None, estimate=None),
         "How far it is from the law of the data was not measured"),
        (gap(upper=0.52), "Good to 0.05-0.52 nats a row (95 %)"),
        (gap(upper=0.52, upper_needs="the true eps"),
         "At least 0.05 nats a row from the law of the data (95 %), 0.12 found so far"),
        (gap(known=True) | {"steps": [{"gap": {"high": 0.3}}]},
         "Good to 0.05-0.30 nats a row (95 %)"),
        (gap(of="KL(model | target)"),
         "At least 0.05 nats from the law of the target (95 %), 0.12 found so far"),
        (gap(of="G(p_N) - min G"), "At least 0.05 above the minimum (95 %), 0.12 found so far"),
    ],
)  # fmt: skip
def test_how_far_it_is(certificate, first):
    assert verdict(RESULT, certificate) == (f"{first}; a Gaussian is 0.95 nats worse.",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ("A Gaussian is 0.95 nats worse.",)),
        ({"nll_gaussian": 21.5}, ("A Gaussian is 0.50 nats better.",)),
        ({"nll_gaussian": None}, ()),
        ({"nll_gaussian": None, "kl": 0.031, "kl_error": 0.004},
         ("KL(data | model) is about 0.03 +- 0.004 nats.",)),
        ({"nll_gaussian": None, "status": "stopped", "reason": "interrupted"},
         ("Stopped after 1 steps: interrupted.",)),
    ],
)  # fmt: skip
def test_without_a_certificate(changes, words):
    result = dataclasses.replace(RESULT, **changes)
    assert verdict(result) == words
    more = verdict(result, uncertified="install wopt-certify")
    assert more == (*words, "Not certified: install wopt-certify.")


def test_samples_and_calibration():
    assert verdict(RESULT, gap() | {"two_sample": TESTS, "conditional": WRONG})[1:] == (
        "Samples of `sex` and `city` differ from the data.",
        "The conditional law is not calibrated.",
    )
    joint = TESTS | {"columns": COLUMNS[2:]}
    assert verdict(RESULT, gap() | {"two_sample": joint})[1:] == ("Samples differ from the data.",)
    alike = gap() | {"two_sample": TESTS | {"differs": False}, "conditional": None}
    assert verdict(RESULT, alike)[1:] == ("Samples cannot be told from held-out rows.",)


def test_a_density_that_is_not_normalised_comes_first():
    result = RunResult("done", "", 1, kl=-2.0, kl_error=0.1, kl_of=GapKind.KL_MODEL_TARGET)
    (only,) = verdict(result)
    assert "is estimated as -2.00" in only
    assert "not normalised" in only


def test_rows_that_decide_the_mean_are_told_beside_it():
    words = verdict(dataclasses.replace(RESULT, far_rows=2))
    assert words[1].startswith("2 of 378 test rows are so far out that each moves")


@pytest.mark.parametrize("n", [3, 4, 6, 10, 20, 60])
def test_normal_rows_are_seldom_far(n):
    x = torch.randn(4000, n, generator=torch.Generator().manual_seed(n)).double()
    false = sum(far_rows(row) is not None for row in x) / len(x)
    assert false <= 0.01 + 3 * (0.01 * 0.99 / len(x)) ** 0.5
    far = torch.tensor([1e5, 1e3]).double()
    assert far_rows(torch.cat([x[0], far[:1]])) == 1
    assert far_rows(torch.cat([x[0], far])) == 2
