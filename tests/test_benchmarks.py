"""What the pages of benchmarks rest on: equal rivals, honest errors, current tables."""

import json
import sys
from pathlib import Path

import pytest
import torch

from wopt_jko.ode.integrate import RK4, integrate, uniform_grid

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "several"))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from matmul_share import products
from planner_table import summary
from training_step import autograd_field, jko_loss, make, torchdiffeq_loss

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


def test_products_are_those_of_a_step(block, x):
    """torch's own count of a step's products is ours, but for x itself, which needs no gradient."""
    from torch.utils.flop_counter import FlopCounterMode

    _, expected = products(DIM, 16, len(x), STEPS)
    with FlopCounterMode(display=False) as counter:
        jko_loss(x, *block(x)).backward()
    assert 0.9 * expected < counter.get_total_flops() <= expected


def test_the_page_counts_what_is_stored():
    rows = [json.loads(line) for line in (BENCHMARKS / "planner.jsonl").read_text().splitlines()]
    counts = summary(rows).split("**")[-2]
    assert counts in (BENCHMARKS.parent / "docs" / "likelihoods.md").read_text().replace("\n", " ")
