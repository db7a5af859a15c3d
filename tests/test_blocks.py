"""Every block of the plugins obeys the laws of blocks with every option, also given conditions."""

import copy

import pytest
import torch
from block_tables import BLOCKS
from by_hand import jacobians

import wopt
from wopt import Capability
from wopt.testing import NormalTarget, check_block, jko_step, moments

LAWS = {
    Capability.LOG_DET: "log_det_is_exact",
    Capability.INVERSE: "inverse_log_det",
    Capability.ACTION: "action_bounds_displacement",
    Capability.HALF_WAY: "half_way_log_det",
    Capability.VELOCITY: "divergence_is_exact",
}
each = pytest.mark.parametrize("name", BLOCKS)
with_log_det = pytest.mark.parametrize("name", [name for name in BLOCKS if name != "particles"])


@each
@pytest.mark.parametrize(("dim", "condition"), [(1, 0), (4, 0), (1, 2), (3, 2)])
def test_the_laws_of_blocks(name, dim, condition, new):
    block = new(BLOCKS[name], dim, **({"condition": condition} if condition else {}))
    assert not condition or Capability.CONDITION in block.provides
    done = check_block(block, dim, condition=condition, tolerance=1e-8)
    assert [law for need, law in LAWS.items() if (law in done) != (need in block.provides)] == []


@with_log_det
def test_log_det_and_inverse_far_from_the_identity_in_both_precisions(name, shaken, x):
    """By autograd's Jacobian; an error of the inverse in float32 is rounding times its stretch."""
    block, points = shaken(BLOCKS[name]), x.float()
    y, log_det = block(x)
    slopes = jacobians(block.move, x)
    sign, expected = torch.linalg.slogdet(slopes)
    assert (sign > 0).all()
    torch.testing.assert_close(log_det, expected, rtol=0, atol=1e-8)
    assert float((y - x).norm(dim=1).mean()) > 0.1
    assert float(log_det.abs().mean()) > 0.01
    single = copy.deepcopy(block).float()
    y, log_det = single(points)
    assert y.dtype == log_det.dtype == torch.float32
    exact = block(points.double())
    torch.testing.assert_close(y.double(), exact[0], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(log_det.double(), exact[1], rtol=0, atol=1e-3)
    stretch = (1 + torch.linalg.matrix_norm(slopes.inverse(), 2)) * (1 + y.norm(dim=1))
    error = (single.inverse(y)[0] - points).norm(dim=1) / stretch
    assert float(error.max()) < 1e-4


@with_log_det
def test_conditions_matter(name, shaken, x):
    block, x, c = shaken(BLOCKS[name], 2, condition=1), x[:, :2], x[:, 2:]
    (y, log_det), (z, other_log_det) = block(x, c), block(x, c + 0.5)
    assert float((z - y).abs().max()) > 1e-3
    if name.startswith("affine"):  # its derivative is one matrix
        assert torch.equal(other_log_det, log_det)
    else:
        assert float((other_log_det - log_det).abs().max()) > 1e-4
    torch.testing.assert_close(block.inverse(z, c + 0.5)[0], x, rtol=0, atol=1e-8)


@with_log_det
def test_derivatives_are_tracked_where_they_are_wanted_alone(name, new, x):
    """zuko differentiates polynomials even then; pushing particles must not keep the graph."""
    block = new(BLOCKS[name])
    calls = [block, block.inverse] + [
        getattr(block, method)
        for need, method in ((Capability.HALF_WAY, "half_way"), (Capability.VELOCITY, "velocity"))
        if need in block.provides
    ]
    with torch.no_grad():
        assert not any(t.requires_grad for call in calls for t in (*call(x), block.move(x)))
    sum(t.square().sum() for call in calls[2:] for t in call(x)).backward()
    assert any(p.grad is not None and p.grad.any() for p in block.parameters())


TRAINED = {
    "icnn": ({"width": 16}, 2e-2),
    "residual": ({"width": 16, "exact": 0}, 1e-2),
    "autoregressive": ({"hidden": [32]}, 2e-2),
    "spline": ({"hidden": [32], "passes": 2, "transforms": 3}, 2e-2),
    "coupling": ({"hidden": [32]}, 2e-2),
    "maf": ({"hidden": [32]}, 2e-2),
    "zuko": ({"hidden": [32], "pieces": 24, "transforms": 3}, 2e-2),
}
SLOW = ("spline", "coupling", "maf", "zuko")
"""Of zuko: the tests of its plugin train some of them."""


def solved(x, split, block, scheme, target, **solver):
    found = wopt.solve(
        wopt.Particles.start(x[:split]),
        valid=wopt.Particles.start(x[split:]),
        objective={"name": "kl", "target": target},
        scheme=scheme,
        block=block,
        solver=wopt.InnerSolver(**solver),
        stop=wopt.Stop(steps=1),
    )
    assert found.status == "done", found.reason
    return found


@pytest.fixture(scope="module")
def gaussian():
    """Return samples of a Gaussian, and mean and covariance of a target."""
    rng = torch.Generator().manual_seed(4)
    factor = torch.tensor([[1.5, 0.0], [0.6, 0.7]]).double()
    x = torch.randn(5000, 2, generator=rng, dtype=torch.float64) @ factor.T
    law = torch.tensor([-0.3, 0.2]).double(), torch.tensor([[1.0, -0.3], [-0.3, 0.6]]).double()
    return x + torch.tensor([0.8, -0.4]), law


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in TRAINED]
)
def test_a_step_trained_on_samples_meets_the_closed_form(name, gaussian):
    """That of the samples' own moments, so that no sampling error of theirs is left."""
    (x, law), (options, rate) = gaussian, TRAINED[name]
    jko, block = {"name": "jko", "step_size": 1.0}, {"name": name, **options}
    how = {"iterations": 200, "batch_size": 500, "learning_rate": rate}
    found = solved(x, 4000, block, jko, NormalTarget(*law), **how)
    exact = jko_step(x.mean(0), torch.cov(x.T, correction=0), *law, 1.0)
    # The step moves the mean by 0.75 and the variances by 1.0; 0.05 is the trained maps' noise.
    moved = wopt.Particles.start(found.flow(x)[0].detach())
    torch.testing.assert_close(moments(moved), exact, rtol=0, atol=0.05)
    assert found.history[0].likelihood_error == 0
    assert found.history[0].inversion_error < 1e-6


@pytest.mark.parametrize("scheme", ["midpoint", "explicit"])
def test_other_schemes_take_zukos(scheme, gaussian):
    x, law = gaussian
    block = {"name": "coupling", "hidden": [32], "transforms": 2}
    how = {"iterations": 40, "batch_size": 200, "learning_rate": 1e-2}
    table = {"name": scheme, "step_size": 0.1}
    found = solved(x[:2000], 1000, block, table, NormalTarget(*law), **how)
    assert found.history[-1].energy_change < 0
