"""What the pages of benchmarks rest on: equal rivals, honest errors, current tables."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from wopt.testing import AffineBlock
from wopt_jko.ode.integrate import RK4, integrate, uniform_grid

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "several"))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import cells
from bench import interleaved, ratio, table
from matmul_share import products
from measures import stretch
from planner_table import above, outcome, summary
from summaries import difference
from training_step import autograd_field, jko_loss, make, torchdiffeq_loss, zuko_loss
from turns import Turns

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
DIM, STEPS = 5, 4


@pytest.fixture
def block():
    return make(DIM, 16, STEPS).double()


@pytest.fixture
def x():
    rng = torch.Generator().manual_seed(0)
    return torch.randn(20, DIM, dtype=torch.float64, generator=rng)


def gradients(loss, block):
    block.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in block.parameters()]


def test_a_pass_per_dimension_is_the_closed_form(block, x):
    expected = block(x)
    found = integrate(autograd_field(block, "each", x), x, uniform_grid(STEPS), RK4)
    torch.testing.assert_close(found[:2], expected)
    assert float(expected[1].detach().abs().mean()) > 1e-3
    for mine, theirs in zip(
        gradients(jko_loss(x, *expected), block),
        gradients(jko_loss(x, *found[:2]), block),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_hutchinson_has_the_closed_form_as_its_mean(block, x):
    """Over all sign vectors of five coordinates the mean is the trace; exact for each field."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * DIM)
    field = block.net.field(True)
    with torch.no_grad():
        expected = field(0.3, x)[1]
    estimates = [
        autograd_field(block, "hutchinson", s.expand_as(x))(0.3, x)[1].detach() for s in signs
    ]
    assert float((estimates[0] - expected).abs().max()) > 1e-4
    torch.testing.assert_close(torch.stack(estimates).mean(0), expected)


def test_torchdiffeq_meets_the_closed_form(block, x):
    """Its RK4 is the 3/8 rule: both are of order 4, so 32 steps agree to 1e-6."""
    pytest.importorskip("torchdiffeq")
    block.steps.fill_(32)
    with torch.no_grad():
        expected = float(jko_loss(x, *block(x)))
        found = float(torchdiffeq_loss(block, x, x, "closed")())
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_adjoint_has_the_gradient_of_the_unrolled_solver(block, x):
    """Up to the error of the grid, with the same probes."""
    pytest.importorskip("torchdiffeq")
    block.steps.fill_(32)
    probe = torch.ones_like(x)
    unrolled = gradients(torchdiffeq_loss(block, x, probe, "hutchinson")(), block)
    adjoint = gradients(torchdiffeq_loss(block, x, probe, "adjoint")(), block)
    for mine, theirs in zip(adjoint, unrolled, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_zuko_is_counted():
    loss, lazy, count = zuko_loss(DIM, 16, torch.randn(20, DIM), exact=True)
    value = loss()
    forward = count[0]
    value.backward()
    assert 6 <= forward < count[0]
    assert all(p.grad is not None for p in lazy.parameters())


def test_products_are_those_of_a_step(block, x):
    """torch's own count of a step's products is ours, but for x itself, which needs no gradient."""
    from torch.utils.flop_counter import FlopCounterMode

    _, expected = products(DIM, 16, len(x), STEPS)
    with FlopCounterMode(display=False) as counter:
        jko_loss(x, *block(x)).backward()
    assert 0.9 * expected < counter.get_total_flops() <= expected


def test_ratios_are_of_rounds():
    found = {"a": [1.0, 4.0, 9.0], "b": [1.0, 2.0, 3.0]}
    assert ratio(found, "a", "b") == 2
    assert table(("x", "y"), [("a", 0.12345)]).splitlines()[-1] == "| a | 0.123 |"


def test_rivals_take_turns():
    calls = []
    found = interleaved({k: lambda k=k: calls.append(k) for k in "ab"}, repeats=3, least=0)
    assert {len(ms) for ms in found.values()} == {3}
    assert "".join(calls[-12:]) == "aabb" * 3


def test_distances_and_straight_lines_are_exact():
    """A shift by v: W_1 is |v|, and displacement interpolation at s is the shift by s v."""
    pytest.importorskip("ot")
    before = np.random.default_rng(0).normal(size=(40, 2))
    shift = np.array([0.3, -0.4])
    assert cells.distance(before, before + shift) == pytest.approx(0.5)
    part = cells.straight(before, np.random.default_rng(1).permutation(before + shift), 0.25)
    assert cells.distance(part, before + 0.25 * shift) == pytest.approx(0.0, abs=1e-6)


def test_differences_are_paired_by_seed():
    rows = [
        {"data": "a", "seed": seed, "guess": guess, "w1": w1}
        for seed, guess, w1 in [
            (0, "displacement interpolation", 1.0),
            (1, "displacement interpolation", 3.0),
            (0, "flow", 1.1),
            (1, "flow", 3.3),
            (2, "flow", 9.0),
        ]
    ]
    assert cells.gaps(rows, "flow") == pytest.approx([0.1, 0.3])
    (line,) = [line for line in cells.summary(rows).splitlines() if "| flow |" in line]
    assert line.startswith("| a | flow | 3 | 4.467 +- 4.")
    assert "| +0.200 +- 0.100 |" in line


def row(method, seed, **more):
    return {"data": "law", "budget": 60.0, "method": method, "seed": seed, "nll": 1.0,
            "seconds": 2.0, "test": 9} | more  # fmt: skip


def test_the_page_counts_what_is_stored():
    rows = [json.loads(line) for line in (BENCHMARKS / "planner.jsonl").read_text().splitlines()]
    counts = summary(rows).split("**")[-2]
    assert counts in (BENCHMARKS.parent / "docs" / "likelihoods.md").read_text().replace("\n", " ")


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


def test_jobs_get_equal_seconds_and_their_own_random_numbers():
    def job(draws):
        def work(rest):
            torch.manual_seed(draws)
            found = []
            for _ in range(20):
                began = time.process_time()
                while time.process_time() - began < 0.005:
                    pass
                found.append(float(torch.rand(())))
                rest()
            return found

        return work

    turns = Turns(0.02)
    found = turns.run({"a": job(1), "b": job(2)})
    for seed, name in ((1, "a"), (2, "b")):
        torch.manual_seed(seed)
        assert found[name] == [float(torch.rand(())) for _ in range(20)]
        assert turns.spent[name] == pytest.approx(0.1, rel=0.5)


def test_a_job_that_fails_is_told():
    def work(rest):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Turns().run({"a": work, "b": lambda rest: rest()})


def test_the_stretch_of_the_inverse_is_one_over_the_least_singular_value():
    blocks = [AffineBlock(2), AffineBlock(2)]
    with torch.no_grad():
        blocks[0].matrix.copy_(torch.diag(torch.tensor([2.0, 0.25])))
        blocks[1].matrix.copy_(torch.diag(torch.tensor([1.0, 0.5])))
    assert stretch(blocks, torch.randn(3, 2)).tolist() == pytest.approx([8.0] * 3)


def test_the_error_of_one_seed_is_that_over_rows():
    pair = {"nll": 2.0, "scores": [1.0, 3.0]}, {"nll": 1.5, "scores": [1.0, 2.0]}
    assert difference([pair]) == "+0.500 (rows: +- 0.500)"
