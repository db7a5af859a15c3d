"""What holds for the blocks of zuko beside the laws of all (tests/test_blocks.py)."""

import pytest
import torch

from wopt import Capability


def test_many_dimensions_have_no_whole_jacobian(new):
    few, many = new({"name": "maf", "hidden": [8]}, 12), new({"name": "maf", "hidden": [8]}, 13)
    assert Capability.HALF_WAY | Capability.VELOCITY in few.provides
    assert not (Capability.HALF_WAY | Capability.VELOCITY) & many.provides
    assert Capability.LOG_DET | Capability.INVERSE | Capability.CONDITION in many.provides


@pytest.mark.parametrize("name", ["maf", "spline"])
def test_a_conditional_law_is_learnt(name, new):
    """x | c ~ N(c, e^-c), carried to N(0, 1): the least E[y^2/2 - log det] is 1/2 - E c / 2."""
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(4000, 1, generator=rng).double()
    x = c + (-c / 2).exp() * torch.randn(4000, 1, generator=rng).double()
    block = new({"name": name, "hidden": [16], "transforms": 2}, 1, condition=1)
    optimiser = torch.optim.Adam(block.parameters(), lr=2e-2)

    def loss(rows):
        y, log_det = block(x[rows], c[rows])
        return (y[:, 0].square() / 2 - log_det).mean()

    for step in range(150):
        optimiser.zero_grad()
        begin = (step * 500) % 3500
        loss(slice(begin, begin + 500)).backward()
        optimiser.step()
    with torch.no_grad():
        exact = ((x - c) * (c / 2).exp()).square() / 2 - c / 2
        y, log_det = block(x, c)
        gap = (y[:, 0].square() / 2 - log_det) - exact[:, 0]
    # The gap at common points is a paired difference: its standard error is small.
    error = float(gap.std() / len(gap) ** 0.5)
    assert abs(float(gap.mean())) < 0.02 + 3 * error
    unconditional = float((x.var() / c.exp().reciprocal().mean()).log())
    assert error < 0.02
    assert unconditional > 0.05  # a map that does not look at c would lose that much
