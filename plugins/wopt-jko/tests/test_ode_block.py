"""The block ``ode``: order of its inverse, action, jitter, and an independent audit."""

import itertools

import pytest
import torch


def test_the_inverse_returns_at_order_four(block, x):
    errors = []
    for steps in (8, 16, 32):
        made = block(steps=steps)
        y, log_det = made(x)
        back, log_inverse = made.inverse(y)
        errors.append(float((back - x).abs().max()))
        assert float((log_inverse + log_det).abs().max()) < 100 * errors[-1] + 1e-12
    assert float((block()(x)[0] - x).abs().mean()) > 0.3
    assert errors[2] < errors[1] / 10 < errors[0] / 100
    assert errors[2] < 1e-6


def test_the_action_bounds_the_displacement(block, x):
    y, log_det, action = block(steps=16).forward_with_action(x)
    torch.testing.assert_close((y, log_det), block(steps=16)(x), rtol=0, atol=1e-13)
    displacement = (y - x).square().sum(1)
    assert (action >= displacement - 1e-9).all()
    # Not vacuously: the bound is not far off, nor an equality for curved paths.
    assert float((action / displacement).median().detach()) < 3
    assert float((action - displacement).max().detach()) > 1e-4


# The audit.


def test_the_audit_disagrees_with_a_coarse_grid_and_agrees_with_a_fine_one(block, x):
    gaps = {}
    for steps in (1, 4, 16, 64):
        made = block(steps=steps, size=0.9, seed=3)
        (y, log_det), (exact, audited) = made(x), made.audit(x, tolerance=1e-10)
        gaps[steps] = float((log_det - audited).abs().mean().detach())
        assert float((y - exact).norm().detach()) > 0
    assert gaps[1] > 0.1
    assert gaps[4] < gaps[1] / 3
    assert gaps[64] < 1e-5


def test_audits_from_unlike_grids_agree(block, x):
    """The audit stands for the flow itself, whatever grid the block trains on."""
    one, other = (block(steps=s, size=0.9, seed=3).audit(x, tolerance=1e-9) for s in (1, 16))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_the_audit_refines_until_its_tolerance_is_met(block, x):
    truth = block(steps=64, size=0.9, seed=3).audit(x, tolerance=1e-12)[1]
    for tolerance in (1e-2, 1e-4, 1e-6):
        log_det = block(steps=1, size=0.9, seed=3).audit(x, tolerance=tolerance)[1]
        assert float((log_det - truth).abs().mean()) < tolerance


def test_the_audit_is_fixed_in_training_too(block, x):
    made = block().train()
    torch.manual_seed(0)
    first = made.audit(x)
    torch.testing.assert_close(made.audit(x), first, rtol=0, atol=0)


def test_a_map_that_explodes_ends_the_audit(block, x):
    made = block(size=1.0)
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(1e30)
    _, log_det = made.audit(x * 1e30)
    assert len(log_det) == len(x)


# The grid.


def test_jitter_is_for_training_only(block, x):
    made = block(steps=3, size=0.9)
    assert torch.equal(made(x)[0], made(x)[0])
    made.train()
    torch.manual_seed(1)
    first, second = made(x)[0], made(x)[0]
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(made(x)[0], first)
    made.eval()
    assert torch.equal(made(x)[0], made(x)[0])


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_jittered_grids_are_grids(block, steps):
    made = block(steps=steps, jitter=0.99).train()
    for _ in range(50):
        grid = made.grid()
        assert (grid[0], grid[-1], len(grid)) == (0.0, 1.0, steps + 1)
        assert all(a < b for a, b in itertools.pairwise(grid))


def test_refining_doubles_the_steps_up_to_a_limit(block):
    made = block(steps=100)
    assert made.refine()
    assert int(made.steps) == 200
    assert made.refine()
    assert not made.refine()
    assert int(made.steps) == 400


def test_a_refined_grid_is_saved(block, x):
    made = block(steps=4)
    made.refine()
    fresh = block(steps=4, seed=7)
    fresh.load_state_dict(made.state())
    assert int(fresh.steps) == 8
    assert torch.equal(fresh(x)[0], made(x)[0])


def test_a_warm_start_takes_the_velocity_but_not_the_grid(block, x):
    made, warm = block(steps=16), block(steps=4, seed=8)
    warm.warm_start(made)
    assert int(warm.steps) == 4
    torch.testing.assert_close(
        warm.audit(x, tolerance=1e-8), made.audit(x, tolerance=1e-8), rtol=0, atol=1e-5
    )
