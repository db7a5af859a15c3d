"""What holds for every block of this plugin beside the laws of all (tests/test_blocks.py)."""

import pytest
import torch
from by_hand import jacobians

import wopt
from wopt import Capability
from wopt.host import host
from wopt.jacobian import linearised

NAMES = ["affine", "autoregressive", "fitted_mixture", "icnn", "mixture", "particles", "residual"]
NAMES.append("stack")  # of others, see test_stack.py


def test_this_list_is_complete():
    found = [e for e in host().registry.entries() if e.plugin == "blocks"]
    assert [(e.kind, e.name) for e in found] == [("block", name) for name in NAMES]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_new_block_is_exactly_the_identity(any_table, new, x, dtype):
    block, points = new(any_table).to(dtype), x.to(dtype)
    if any_table["name"] == "autoregressive":  # whose splines are, up to rounding
        few = 10 * torch.finfo(dtype).eps
        if any_table.get("tails") == "defensive":  # quantiles of a normal law, there and back
            few *= 1e5
        torch.testing.assert_close(block.move(points), points, rtol=few, atol=few)
        torch.testing.assert_close(block.inverse(points)[0], points, rtol=few, atol=few)
        assert float(block(points)[1].detach().abs().max()) < few * points.shape[1]
        return
    assert torch.equal(block.move(points), points)
    if Capability.LOG_DET in block.provides:
        for mode in (True, False):
            y, log_det = block.train(mode)(points)
            assert y.dtype == log_det.dtype == dtype
            assert torch.equal(y, points)
            assert not log_det.any()
        assert torch.equal(block.inverse(points)[0], points)
        assert not block.inverse(points)[1].any()


def test_rows_in_chunks_are_the_rows(table, shaken, x, monkeypatch):
    block = shaken(table)
    whole = [block(x), block.inverse(x), block.half_way(x), block.velocity(x)]
    monkeypatch.setattr("wopt_blocks.jacobian._NUMBERS", 7 * 50)
    parts = [block(x), block.inverse(x), block.half_way(x), block.velocity(x)]
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)


def test_moving_points_costs_no_derivative(table, shaken, x, monkeypatch):
    block = shaken(table)
    expected = block(x)[0]

    def never(*args, **kwargs):
        raise AssertionError("nobody asked for a derivative")

    monkeypatch.setattr(torch.linalg, "slogdet", never)
    monkeypatch.setattr(type(block), "linearise", never)
    for module in block.modules():
        for name in ("linearise", "gradient_and_hessian"):
            if module is not block and hasattr(module, name):
                monkeypatch.setattr(type(module), name, never)
    torch.testing.assert_close(block.move(x), expected, rtol=0, atol=1e-13)


def test_the_action_is_a_bound_where_it_is_offered(table, shaken, x):
    block = shaken(table)
    if Capability.ACTION not in block.provides:
        with pytest.raises(wopt.CapabilityError, match="ACTION"):
            block.forward_with_action(x)
        return
    y, log_det, action = block.forward_with_action(x)
    assert torch.equal(action, (y - x).square().sum(1))
    torch.testing.assert_close((y, log_det), block(x))
    # Straight paths do not cross: the map half way is invertible, with a positive determinant.
    half = (torch.eye(3).double() + jacobians(block.move, x)) / 2
    assert (torch.linalg.det(half) > 0).all()


def test_a_warm_start_is_the_map_before(table, shaken, new, x):
    block, warm = shaken(table), new(table)
    warm.warm_start(block)
    torch.testing.assert_close(warm.freeze()(x), block(x), rtol=0, atol=0)


def test_a_free_residual_in_many_dimensions_is_refused(new):
    with pytest.raises(wopt.ConfigError, match=r"20 dimensions.*contraction.*exact = 20"):
        new({"name": "residual", "lipschitz": 0.0}, dim=20)
    new({"name": "residual", "lipschitz": 0.0, "exact": 20}, dim=20)


def test_the_contraction_is_by_what_moves(shaken, x):
    """A steep dependence on the condition leaves the bound, so the inverse, alone."""
    block = shaken({"name": "residual", "width": 16, "lipschitz": 0.5}, 2, condition=1, size=1.0)
    block.net.layers[0].weight.data[:, 2] *= 100
    x, c = x[:, :2], x[:, 2:]
    jacobian = linearised(lambda at: block.move(at, c), x)[1]
    slopes = torch.linalg.svdvals(jacobian - torch.eye(2).double())
    assert float(slopes.detach().max()) <= 0.5
    torch.testing.assert_close(block.inverse(block.move(x, c), c)[0], x, rtol=0, atol=1e-9)
