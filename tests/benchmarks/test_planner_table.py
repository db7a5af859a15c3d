"""The table of the planner's benchmark: its errors, and that the page has what is stored."""

import json
from pathlib import Path

import pytest
from planner_table import PAGE, above, outcome, paged, summary

STORED = Path(__file__).parent / "planner.jsonl"


def row(method, seed, **more):
    return {"data": "law", "budget": 60.0, "method": method, "seed": seed, "nll": 1.0,
            "seconds": 2.0, "test": 9} | more  # fmt: skip


def test_the_page_has_the_table_of_what_is_stored():
    rows = [json.loads(line) for line in STORED.read_text().splitlines()]
    text = PAGE.read_text()
    assert summary(rows) in text, "make it again: python tests/benchmarks/planner.py --page"
    assert paged(rows, text) == text


def test_the_error_is_the_larger_of_that_over_rows_and_that_over_seeds():
    """Over rows sqrt(3^2 + 4^2) / 2 = 2.5; over seeds sqrt(2) / sqrt(2) = 1, or 5."""
    near = [row("NSF", 0, above=1.0, above_error=3.0), row("NSF", 1, above=3.0, above_error=4.0)]
    assert above(near) == pytest.approx((2.0, 2.5))
    far = [near[0], {**near[1], "above": 11.0}]
    assert above(far) == pytest.approx((6.0, 5.0))
    assert above(near[:1]) == (1.0, 3.0)


def test_the_best_rival_decides():
    rows = [row("wopt", 0), row("NSF", 0, above=0.5, above_error=0.1)]
    assert "| win |" in summary(rows)
    worse = [*rows, row("MAF", 0, above=-0.5, above_error=0.1)]
    assert "| **loss** |" in summary(worse)
    assert "1 are wins, 0 ties and 0 losses; 1 are at or below" in summary(rows)
    assert "0 are wins, 0 ties and 1 losses; 0 are at or below" in summary(worse)


def test_less_than_two_errors_is_a_tie():
    assert outcome(0.2, 0.1) == "tie"
    assert outcome(-0.2, 0.1) == "tie, rival ahead"
    assert outcome(-0.21, 0.1) == "**loss**"
