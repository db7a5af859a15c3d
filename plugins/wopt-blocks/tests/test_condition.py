"""Conditions: the last coordinates come back as they are, and the others move given them."""

import pytest
import torch

import wopt
from wopt import Capability
from wopt.testing import check_block


@pytest.mark.parametrize("moved", [1, 3])
def test_conditional_blocks_obey_the_laws(any_table, new, moved):
    dim = moved + 2
    block = new(any_table, dim, condition=2)
    assert Capability.CONDITION in block.provides
    done = check_block(block, dim, tolerance=1e-8)
    assert ("inverse_log_det" in done) == (any_table["name"] != "particles")


def test_conditions_stay_and_matter(table, shaken, x):
    block = shaken(table, condition=1)
    y, log_det = block(x)
    for z in (y, block.move(x), block.inverse(x)[0], block.half_way(x)[0]):
        assert torch.equal(z[:, 2], x[:, 2])
    assert not block.velocity(x)[0][:, 2].any()
    other = x.clone()
    other[:, 2] += 0.5
    z, other_log_det = block(other)
    assert float((z - y)[:, :2].abs().max()) > 1e-3
    if table["name"] == "affine":  # its derivative is one matrix
        assert torch.equal(other_log_det, log_det)
    else:
        assert float((other_log_det - log_det).abs().max()) > 1e-4
    torch.testing.assert_close(block.inverse(z)[0], other, rtol=0, atol=1e-9)


def test_the_log_det_is_that_of_the_moved_coordinates(table, shaken, x):
    block = shaken(table, condition=1)
    log_det = block(x)[1]
    for row, found in zip(x[:8], log_det[:8], strict=True):

        def moved(z, c=row[2:]):
            return block(torch.cat([z, c])[None])[0][0, :2]

        jacobian = torch.autograd.functional.jacobian(moved, row[:2])
        assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(float(found), abs=1e-8)


def test_the_contraction_is_by_what_moves(shaken, x):
    """A steep dependence on the condition leaves the bound, so the inverse, alone."""
    block = shaken({"name": "residual", "width": 16, "lipschitz": 0.5}, condition=1, size=1.0)
    block.net.layers[0].weight.data[:, 2] *= 100
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda p: block.move(p[None])[0], row) for row in x]
    )
    slopes = torch.linalg.svdvals(jacobian[:, :2, :2] - torch.eye(2).double())
    assert float(slopes.max()) <= 0.5
    torch.testing.assert_close(block.inverse(block.move(x))[0], x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["affine", "autoregressive", "icnn", "residual"])
def test_a_conditional_mean_is_learnt(name, new):
    """x | c ~ N(2 c, 1), carried to N(0, 1): the map is x - 2 c, the loss E[y^2/2 - log det] 1/2.

    Without c the least loss is (1 + log var x)/2, 0.14 higher.
    """
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(1000, 1, generator=rng).double()
    noise = torch.randn(1000, 1, generator=rng).double()
    both = torch.cat([2 * c + (noise - noise.mean()) / noise.std(correction=0), c], 1)
    width = {"affine": {}, "autoregressive": {"hidden": [16, 16]}}.get(name, {"width": 16})
    block = new({"name": name, **width}, 2, condition=1)
    optimiser = torch.optim.Adam(block.parameters(), lr=3e-2)

    def loss():
        y, log_det = block(both)
        return (y[:, 0].square() / 2 - log_det).mean()

    for _ in range(150):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    least = (1 + float(both[:, 0].var().log())) / 2
    assert least > 0.6
    assert float(loss().detach()) < 0.51


def test_nothing_left_to_move_is_a_clear_error(any_table):
    for condition in (2, 3):
        with pytest.raises(wopt.ConfigError, match="none to move"):
            wopt.build("block", any_table).build(dim=2, condition=condition)
