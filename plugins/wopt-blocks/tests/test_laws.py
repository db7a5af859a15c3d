"""The laws of blocks, for every block of this plugin, by name from the registry."""

import copy

import pytest
import torch

import wopt
from wopt import Capability
from wopt.host import host
from wopt.testing import check_block

NAMES = ["affine", "autoregressive", "fitted_mixture", "icnn", "mixture", "particles", "residual"]


def jacobians(block, x):
    return torch.stack(
        [torch.autograd.functional.jacobian(lambda p: block.move(p[None])[0], row) for row in x]
    )


def test_this_list_is_complete():
    found = [e for e in host().registry.entries() if e.plugin == "blocks"]
    assert [(e.kind, e.name) for e in found] == [("block", name) for name in NAMES]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_laws_of_blocks(any_table, new, dim):
    block = new(any_table, dim)
    done = check_block(block, dim, tolerance=1e-8)
    for need, law in (
        (Capability.LOG_DET, "log_det_is_exact"),
        (Capability.INVERSE, "inverse_log_det"),
        (Capability.ACTION, "action_bounds_displacement"),
        (Capability.HALF_WAY, "half_way_log_det"),
        (Capability.VELOCITY, "divergence_is_exact"),
    ):
        assert (law in done) == (need in block.provides)


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


def test_the_log_det_is_that_of_autograds_jacobian_far_from_the_identity(table, shaken, x):
    block = shaken(table)
    y, log_det = block(x)
    assert float((y - x).norm(dim=1).mean()) > 0.2
    assert float(log_det.abs().mean()) > 0.01
    torch.testing.assert_close(
        torch.linalg.slogdet(jacobians(block, x))[1], log_det, rtol=0, atol=1e-8
    )


def test_float32_agrees_with_float64(table, shaken, x):
    block, points = shaken(table), x.float()
    single = copy.deepcopy(block).float()
    y, log_det = single(points)
    assert y.dtype == log_det.dtype == torch.float32
    expected, exact = block(points.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(log_det.double(), exact, rtol=0, atol=1e-4)
    magnified = 1 + torch.linalg.matrix_norm(jacobians(block, x).inverse(), 2)
    error = (single.inverse(y)[0] - points).norm(dim=1) / magnified
    assert float(error.max()) < 1e-4


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
    half = (torch.eye(3).double() + jacobians(block, x)) / 2
    assert (torch.linalg.det(half) > 0).all()


def test_a_warm_start_is_the_map_before(table, shaken, new, x):
    block, warm = shaken(table), new(table)
    warm.warm_start(block)
    torch.testing.assert_close(warm.freeze()(x), block(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "affine", "symetric": True}, ["symetric", "did you mean 'symmetric'"]),
        ({"name": "affine", "symmetric": "perhaps"}, ["symmetric", "boolean"]),
        ({"name": "icnn", "width": 0}, ["width", "greater than or equal to 1"]),
        ({"name": "icnn", "depth": 0}, ["depth", "greater than or equal to 1"]),
        ({"name": "icnn", "sharpness": 0}, ["sharpness", "greater than 0"]),
        ({"name": "icnn", "dim": 2}, ["dim", "unknown option"]),
        ({"name": "residual", "lipschitz": 1.0}, ["lipschitz", "less than or equal to 0.99"]),
        ({"name": "residual", "lipschitz": -0.1}, ["lipschitz", "greater than or equal to 0"]),
        ({"name": "residual", "activation": "relu"}, ["activation", "'silu'"]),
        ({"name": "residual", "exact": -1}, ["exact", "greater than or equal to 0"]),
        ({"name": "particles", "width": 3}, ["width", "unknown option"]),
    ],
)
def test_mistakes_are_told_clearly(options, words):
    with pytest.raises(wopt.ConfigError) as caught:
        wopt.build("block", options)
    for word in words:
        assert word in str(caught.value)


def test_a_free_residual_in_many_dimensions_is_refused(new):
    with pytest.raises(wopt.ConfigError, match=r"20 dimensions.*contraction.*exact = 20"):
        new({"name": "residual", "lipschitz": 0.0}, dim=20)
    new({"name": "residual", "lipschitz": 0.0, "exact": 20}, dim=20)
