"""The variance of log weights: which points it is taken over."""

import math

import pytest
import torch

import wopt
from wopt.testing import AffineBlock
from wopt_posterior.chains import Forward
from wopt_posterior.solvers.variance import LogVariance


class Affine(AffineBlock):
    def differentiable_inverse(self, y):
        return self.inverse(y)


def on_the_line(x):
    """Uniform on [-1, 1]: no density elsewhere."""
    return torch.where(x[:, 0].abs() <= 1, -math.log(2.0), -math.inf).to(x)


def loss_at(chains):
    """The loss of the map x -> s x from the uniform law to the normal one, with these chains."""
    normal = wopt.build("target", "gaussian")
    block = Affine(1).double()
    forward = Forward(normal, on_the_line, chains.double()[:, None], torch.Generator())
    loss = LogVariance(forward, block, torch.linspace(-1, 1, 5).double()[:, None])
    loss.renew()
    return loss, block


def scaled(block, factor):
    with torch.no_grad():
        block.matrix.fill_(factor)
    return block


def test_a_map_gains_nothing_by_losing_points():
    loss, block = loss_at(torch.zeros(3))
    # The gap is x^2/2 + a constant at -1, -1/2, 0, 1/2, 1 and three times 0.
    square = torch.tensor([0.5, 0.125, 0, 0.125, 0.5, 0, 0, 0]).double()
    assert loss(block).item() == pytest.approx(square.var(correction=0).item(), rel=1e-12)
    # Half as wide it has no density at -1 and 1, and would vary less without them.
    assert not math.isfinite(loss(scaled(block, 0.5)).item())


def test_points_without_a_density_are_left_out_where_points_are_renewed():
    loss, block = loss_at(torch.tensor([0.0, 3.0, math.nan, math.inf]))
    assert len(loss.points) == 6
    assert loss.points.abs().max() == 1
    assert math.isfinite(loss(block).item())
    scaled(block, 0.5)
    loss.renew()  # 3 stays out; -1 and 1 go; five images and a chain at 0 come
    assert len(loss.points) == 4 + 6
    assert loss.points.abs().max() == 0.5
    assert math.isfinite(loss(block).item())
