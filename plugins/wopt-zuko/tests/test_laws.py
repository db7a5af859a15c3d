"""Every block obeys the laws: identity when new, exact log-det, inverse, gradients, saving."""

import pytest
import torch

from wopt import Capability
from wopt.testing import check_block


@pytest.mark.parametrize("dim", [1, 4])
def test_every_option_obeys_the_laws(table, new, dim):
    done = check_block(new(table, dim), dim, tolerance=1e-8)
    assert {"identity_when_new", "inverse_returns", "inverse_log_det", "float32"} <= set(done)


def test_the_log_det_is_that_of_the_jacobian(table, shaken, x):
    block = shaken(table)
    y, log_det = block(x)
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda p: block(p[None])[0][0], row) for row in x]
    )
    expected = torch.linalg.slogdet(jacobians)
    assert (expected.sign > 0).all()
    torch.testing.assert_close(log_det, expected.logabsdet, rtol=0, atol=1e-8)
    # Not vacuously: the map moves and is not of constant volume, but where none depends on x.
    assert float((y - x).abs().mean()) > 0.05
    volume_varies = table["name"] != "zuko" or "ElementWise" not in table["transform"]
    if volume_varies:
        assert float(log_det.std()) > 0.01


def test_the_inverse_in_float32(table, shaken, x):
    """Its error is rounding times what the inverse magnifies."""
    block = shaken(table)
    magnified = torch.stack(
        [torch.autograd.functional.jacobian(lambda p: block(p[None])[0][0], row) for row in x]
    ).inverse()
    scale = 1 + torch.linalg.matrix_norm(magnified, 2)
    block = block.float()
    with torch.no_grad():
        y, log_det = block(x.float())
        back, _ = block.inverse(y)
    assert y.dtype == log_det.dtype == back.dtype == torch.float32
    error = (back.double() - x.float()).norm(dim=1) / (scale * (1 + y.norm(dim=1)))
    assert float(error.max()) < 100 * torch.finfo(torch.float32).eps


def test_half_way_and_velocity_are_differentiable(table, new, x):
    block = new(table)
    m, log_det = block.half_way(x)
    u, divergence = block.velocity(x)
    (m.square().sum() - log_det.sum() + u.square().sum() + divergence.square().sum()).backward()
    last = [p for p in block.parameters() if p.grad is not None and p.grad.any()]
    assert last
    with torch.no_grad():
        assert not block.half_way(x)[0].requires_grad
        assert not block.velocity(x)[1].requires_grad


def test_many_dimensions_have_no_whole_jacobian(new):
    few, many = new({"name": "maf", "hidden": [8]}, 12), new({"name": "maf", "hidden": [8]}, 13)
    assert Capability.HALF_WAY | Capability.VELOCITY in few.provides
    assert not (Capability.HALF_WAY | Capability.VELOCITY) & many.provides
    assert Capability.LOG_DET | Capability.INVERSE | Capability.CONDITION in many.provides


def test_nothing_is_tracked_without_gradients(table, new, x):
    """zuko differentiates polynomials even then; pushing particles must not keep the graph."""
    block = new(table)
    with torch.no_grad():
        found = [*block(x), block.move(x), *block.inverse(x)]
    assert not any(t.requires_grad for t in found)
