"""Conditions, the second argument: points move given them."""

import pytest
import torch

from wopt import Capability
from wopt.jacobian import linearised
from wopt.testing import check_block


@pytest.mark.parametrize("dim", [1, 3])
def test_conditional_blocks_obey_the_laws(any_table, new, dim):
    block = new(any_table, dim, condition=2)
    assert Capability.CONDITION in block.provides
    done = check_block(block, dim, condition=2, tolerance=1e-8)
    assert ("inverse_log_det" in done) == (any_table["name"] != "particles")


def test_conditions_matter(table, shaken, x):
    block, x, c = shaken(table, 2, condition=1), x[:, :2], x[:, 2:]
    (y, log_det), (z, other_log_det) = block(x, c), block(x, c + 0.5)
    assert float((z - y).abs().max()) > 1e-3
    if table["name"] == "affine":  # its derivative is one matrix
        assert torch.equal(other_log_det, log_det)
    else:
        assert float((other_log_det - log_det).abs().max()) > 1e-4
    torch.testing.assert_close(block.inverse(z, c + 0.5)[0], x, rtol=0, atol=1e-9)


def test_the_contraction_is_by_what_moves(shaken, x):
    """A steep dependence on the condition leaves the bound, so the inverse, alone."""
    block = shaken({"name": "residual", "width": 16, "lipschitz": 0.5}, 2, condition=1, size=1.0)
    block.net.layers[0].weight.data[:, 2] *= 100
    x, c = x[:, :2], x[:, 2:]
    jacobian = linearised(lambda at: block.move(at, c), x)[1]
    slopes = torch.linalg.svdvals(jacobian - torch.eye(2).double())
    assert float(slopes.detach().max()) <= 0.5
    torch.testing.assert_close(block.inverse(block.move(x, c), c)[0], x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["affine", "autoregressive", "icnn", "residual"])
def test_a_conditional_mean_is_learnt(name, new):
    """x | c ~ N(2 c, 1), carried to N(0, 1): the map is x - 2 c, the loss E[y^2/2 - log det] 1/2.

    Without c the least loss is (1 + log var x)/2, 0.14 higher.
    """
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(1000, 1, generator=rng).double()
    noise = torch.randn(1000, 1, generator=rng).double()
    x = 2 * c + (noise - noise.mean()) / noise.std(correction=0)
    width = {"affine": {}, "autoregressive": {"hidden": [16, 16]}}.get(name, {"width": 16})
    block = new({"name": name, **width}, 1, condition=1)
    optimiser = torch.optim.Adam(block.parameters(), lr=3e-2)

    def loss():
        y, log_det = block(x, c)
        return (y[:, 0].square() / 2 - log_det).mean()

    for _ in range(150):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    least = (1 + float(x.var().log())) / 2
    assert least > 0.6
    assert float(loss().detach()) < 0.51
