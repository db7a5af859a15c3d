"""Conditions: the last coordinates come back as they are, and the others move given them."""

import pytest
import torch

import wopt
from wopt.testing import check_block


@pytest.mark.parametrize("moved", [1, 3])
def test_conditional_blocks_obey_the_laws(table, new, moved):
    dim = moved + 2
    done = check_block(new(table, dim, condition=2), dim, tolerance=1e-8)
    assert "inverse_log_det" in done


def test_conditions_stay_and_matter(table, shaken, x):
    block = shaken(table, condition=1)
    y, log_det = block(x)
    assert torch.equal(y[:, 2], x[:, 2])
    assert torch.equal(block.inverse(x)[0][:, 2], x[:, 2])
    other = x.clone()
    other[:, 2] += 0.5
    z, other_log_det = block(other)
    assert float((z - y)[:, :2].abs().max()) > 1e-3
    assert float((other_log_det - log_det).abs().max()) > 1e-3


def test_the_log_det_is_that_of_the_moved_coordinates(table, shaken, x):
    block = shaken(table, condition=1)
    log_det = block(x)[1]
    for row, found in zip(x[:8], log_det[:8], strict=True):

        def moved(z, c=row[2:]):
            return block(torch.cat([z, c])[None])[0][0, :2]

        jacobian = torch.autograd.functional.jacobian(moved, row[:2])
        assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(float(found), abs=1e-8)


@pytest.mark.parametrize("name", ["coupling", "maf", "spline", "zuko"])
def test_a_conditional_law_is_learnt(name, new):
    """x | c ~ N(c, e^-c), carried to N(0, 1): the least E[y^2/2 - log det] is 1/2 - E c / 2."""
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(4000, 1, generator=rng).double()
    x = c + (-c / 2).exp() * torch.randn(4000, 1, generator=rng).double()
    both = torch.cat([x, c], 1)
    block = new({"name": name, "hidden": [16], "transforms": 2}, 2, condition=1)
    optimiser = torch.optim.Adam(block.parameters(), lr=2e-2)

    def loss(rows):
        y, log_det = block(rows)
        return (y[:, 0].square() / 2 - log_det).mean()

    for step in range(150):
        optimiser.zero_grad()
        rows = both[(step * 500) % 3500 :][:500]
        loss(rows).backward()
        optimiser.step()
    with torch.no_grad():
        exact = ((x - c) * (c / 2).exp()).square() / 2 - c / 2
        y, log_det = block(both)
        gap = (y[:, 0].square() / 2 - log_det) - exact[:, 0]
    # The gap at common points is a paired difference: its standard error is small.
    error = float(gap.std() / len(gap) ** 0.5)
    assert abs(float(gap.mean())) < 0.02 + 3 * error
    unconditional = float((x.var() / c.exp().reciprocal().mean()).log())
    assert error < 0.02
    assert unconditional > 0.05  # a map that does not look at c would lose that much


def test_nothing_left_to_move_is_a_clear_error(table):
    with pytest.raises(wopt.ConfigError, match="none to move"):
        wopt.build("block", table).build(dim=2, condition=2)
