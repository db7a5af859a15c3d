"""The inner solver: schedule, batches, clipping, averaging, stopping, and the quadratic minimum."""

import itertools
import math

import pytest
import torch

from wopt import InnerSolver, Listener, Training
from wopt.testing import AffineBlock
from wopt.train import minimise


def minimised(solver, block, loss, n, accuracy=None, **options):
    return minimise(solver, Training(block, loss, n, **options), accuracy=accuracy)


def shifts_of(solver, loss, n=10, **options):
    """Return the block's first shift before every loss and after the last."""
    block, seen = AffineBlock(1).double(), []

    def watched(block, rows):
        seen.append(float(block.shift.detach()[0]))
        return loss(block, rows)

    report = minimised(solver, block, watched, n, **options)
    return torch.tensor([*seen, float(block.shift.detach()[0])], dtype=torch.float64), report


def slope(block, rows):
    """A loss of constant gradient, of which Adam makes steps as long as the learning rate."""
    return block.shift.sum() + 0 * block.matrix.sum()


def quadratic(block, rows):
    return (block.shift - 3).square().sum() + (block.matrix - 2).square().sum()


def test_the_rate_rises_then_falls_like_a_cosine():
    solver = InnerSolver(iterations=40, learning_rate=0.1, warmup=0.25, final_rate=0.1)
    shifts, report = shifts_of(solver, slope)
    rates = (shifts[:-1] - shifts[1:]) / 0.1
    assert report.iterations == len(rates) == 40
    assert rates[:10].tolist() == pytest.approx([(k + 1) / 11 for k in range(10)], rel=1e-4)
    assert float(rates.max()) == pytest.approx(1.0, rel=1e-4)
    assert int(rates.argmax()) == 10
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 30)) / 2 for k in range(30)]
    assert rates[10:].tolist() == pytest.approx(expected, rel=1e-4)


def test_a_retrys_factor_scales_the_rate():
    solver = InnerSolver(iterations=3, learning_rate=0.1, warmup=0.0, final_rate=1.0)
    full, _ = shifts_of(solver, slope)
    half, _ = shifts_of(solver, slope, rate=0.5)
    assert float(full[-1]) == pytest.approx(-0.3, rel=1e-4)
    assert half.tolist() == pytest.approx((full / 2).tolist(), rel=1e-6)


def test_batches_cover_an_epoch():
    seen = []

    def loss(block, rows):
        seen.append(rows.tolist())
        return quadratic(block, rows)

    minimised(InnerSolver(iterations=10, batch_size=4), AffineBlock(1), loss, 20)
    assert all(len(set(rows)) == 4 for rows in seen)
    for epoch in (seen[:5], seen[5:]):
        assert sorted(itertools.chain(*epoch)) == list(range(20))
    assert seen[:5] != seen[5:]


@pytest.mark.parametrize("size", [10, 11, 500])
def test_a_batch_that_holds_all_is_all(size):
    seen = []

    def loss(block, rows):
        seen.append(rows)
        return quadratic(block, rows)

    minimised(InnerSolver(iterations=3, batch_size=size), AffineBlock(1), loss, 10)
    assert seen == [None] * 3


def test_large_gradients_are_clipped():
    norms = {}

    def steep(block, rows):
        return 1e3 * quadratic(block, rows)

    for clip in (0, 0.5):
        block = AffineBlock(1)
        minimised(InnerSolver(iterations=1, clip=clip), block, steep, 10)
        norms[clip] = float(torch.cat([block.shift.grad, block.matrix.grad[0]]).norm())
    assert norms[0.5] == pytest.approx(0.5, rel=1e-4)
    assert norms[0] > 1000


def test_the_average_is_what_stays():
    decay = 0.5
    solver = InnerSolver(iterations=6, learning_rate=0.1, warmup=0.0, final_rate=1.0, ema=decay)
    shifts, _ = shifts_of(solver, slope)
    after = [-0.1 * k for k in range(1, 7)]  # where Adam stood after each iteration
    average = after[0]
    for k, value in enumerate(after[1:], 1):
        kept = min(decay, (1 + k) / (10 + k))
        average = kept * average + (1 - kept) * value
    assert float(shifts[-1]) == pytest.approx(average, rel=1e-3)


def test_a_plateau_stops_and_the_best_is_restored():
    held_out = iter([6.0, 5.0, 3.0, 4.0, 3.5, 3.2, 0.0])  # the first: of the map to begin with
    best = {}

    def judge(block):
        value = next(held_out)
        if value == 3.0:
            best.update({k: v.clone() for k, v in block.state_dict().items()})
        return value

    block = AffineBlock(1)
    solver = InnerSolver(iterations=100, learning_rate=0.1, check_every=5, patience=3)
    report = minimised(solver, block, quadratic, 10, held_out=judge)
    assert report.iterations == 25
    for name, value in block.state_dict().items():
        assert torch.equal(value, best[name])
    assert float(best["shift"]) != 0


def test_where_nothing_better_is_found_the_map_to_begin_with_stays():
    held_out = iter([1.0, 3.0, 2.0, 2.5, 2.5, 2.5])  # the schedule gains, so it is waited for
    block = AffineBlock(1)
    solver = InnerSolver(iterations=100, learning_rate=0.1, check_every=5, patience=3, ema=0.5)
    report = minimised(solver, block, quadratic, 10, held_out=lambda _: next(held_out))
    assert report.iterations == 25
    assert float(block.shift.detach()) == 0
    assert float(block.matrix.detach()) == 1


def test_without_patience_and_tolerance_nothing_is_measured():
    def never(block):
        raise AssertionError

    solver = InnerSolver(iterations=7, check_every=1)
    report = minimised(solver, AffineBlock(1), quadratic, 10, held_out=never, accuracy=never)
    assert (report.iterations, report.residual) == (7, None)


def test_the_plateau_judges_the_average():
    seen = []

    def judge(block):
        seen.append(float(block.shift.detach()[0]))
        return 0.0

    solver = InnerSolver(
        iterations=2, learning_rate=0.1, warmup=0.0, final_rate=1.0, ema=0.5, check_every=2,
        patience=1,
    )  # fmt: skip
    minimised(solver, AffineBlock(1).double(), slope, 10, held_out=judge)
    assert seen == pytest.approx([0.0, -0.1 * (2 + 2 * 9) / 11], rel=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_a_loss_that_is_not_finite_is_divergence(bad, optimiser):
    def loss(block, rows):
        return quadratic(block, rows) * bad

    report = minimised(InnerSolver(optimiser=optimiser, iterations=5), AffineBlock(1), loss, 10)
    assert report.diverged
    assert not math.isfinite(report.loss)


def test_lbfgs_reaches_a_quadratic_minimum():
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(12, 12, dtype=torch.float64, generator=rng)
    a = a @ a.T + torch.eye(12, dtype=torch.float64)
    b = torch.randn(12, dtype=torch.float64, generator=rng)
    block = AffineBlock(3).double()

    def loss(block, rows):
        assert rows is None
        p = torch.cat([block.matrix.reshape(-1), block.shift])
        return p @ a @ p / 2 - b @ p

    report = minimised(InnerSolver(optimiser="lbfgs", iterations=200), block, loss, 10)
    found = torch.cat([block.matrix.reshape(-1), block.shift]).detach()
    torch.testing.assert_close(found, torch.linalg.solve(a, b), rtol=0, atol=1e-9)
    assert not report.diverged
    assert report.loss == pytest.approx(float(-b @ torch.linalg.solve(a, b) / 2), abs=1e-12)


def test_it_draws_and_tells_at_every_iteration():
    calls, reported = [], []

    class Told(Listener):
        def work(self, what, done, total, loss=math.nan):
            reported.append((what, done, total, math.isfinite(loss)))

    minimised(
        InnerSolver(iterations=4),
        AffineBlock(1),
        quadratic,
        10,
        before_each=lambda: calls.append(1),
        listener=Told(),
    )
    assert len(calls) == 4
    assert reported == [("training", k, 4, True) for k in (1, 2, 3, 4)]


def distance(block):
    """A first-order error of the quadratic, by hand, and a movement per h."""
    with torch.no_grad():
        wrong = (block.shift - 3).square().sum() + (block.matrix - 2).square().sum()
    return float(wrong.sqrt()), 10.0


@pytest.mark.parametrize("options", [{"tolerance": 0.2}, {"relative_tolerance": 0.02}])
@pytest.mark.parametrize("iterations", [1000, 60])
def test_it_ends_within_the_tolerance(options, iterations):
    """With many iterations early; with few, in a later round."""
    solver = InnerSolver(iterations=iterations, learning_rate=0.05, check_every=10, **options)
    block = AffineBlock(1).double()
    report = minimised(solver, block, quadratic, 10, accuracy=distance)
    assert report.residual == distance(block)[0] <= 0.2
    assert report.iterations % 10 == 0
    assert report.iterations < 1000
    if iterations == 60:
        assert report.iterations > 60


def test_rounds_are_limited():
    solver = InnerSolver(
        iterations=20, learning_rate=1e-3, check_every=10, tolerance=1e-6, rounds=3
    )
    report = minimised(solver, AffineBlock(1), quadratic, 10, accuracy=distance)
    assert report.iterations == 60
    assert report.residual > 1e-6


def test_both_tolerances_must_be_met():
    solver = InnerSolver(
        iterations=2000, learning_rate=0.05, check_every=10, tolerance=0.5, relative_tolerance=0.01
    )
    block = AffineBlock(1).double()
    minimised(solver, block, quadratic, 10, accuracy=distance)
    assert distance(block)[0] <= 0.1


def test_an_error_that_is_not_known_does_not_ask_for_more():
    solver = InnerSolver(iterations=30, check_every=10, tolerance=0.1)
    report = minimised(solver, AffineBlock(1), quadratic, 10, accuracy=lambda _: None)
    assert report.iterations == 10


def test_muon_moves_every_direction_of_a_matrix_at_one_speed():
    """Under a gradient of singular values 1 and 1e-3 Adam's first step is no orthogonal matrix."""
    rng = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(20, 20, generator=rng))
    right, _ = torch.linalg.qr(torch.randn(20, 20, generator=rng))
    slope = left @ torch.diag(torch.linspace(0.2, 1.0, 20)) @ right.T

    def loss(block, rows):
        return (block.matrix * slope).sum() + block.shift.sum()

    solver = InnerSolver(
        optimiser="muon", iterations=1, learning_rate=1e-3, matrix_rate=0.1, warmup=0.0, clip=0
    )
    block = AffineBlock(20)
    minimised(solver, block, loss, 10)
    moved = torch.linalg.svdvals((torch.eye(20) - block.matrix.detach()) / 0.1)
    # What is not a matrix is Adam's; five Newton-Schulz iterations leave values in [0.6, 1.3].
    assert torch.allclose(block.shift.detach(), torch.full((20,), -1e-3), rtol=1e-4)
    assert float(moved.min()) > 0.6
    assert float(moved.max()) < 1.3


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_weights_decay_and_biases_do_not(optimiser):
    """By rate * decay an iteration, beside the steps, which a loss without gradient does not make.

    A matrix of 20 x 20 is Muon's, one of 10 x 10 Adam's.
    """

    def flat(block, rows):
        return 0 * (block.matrix.sum() + block.shift.sum())

    solver = InnerSolver(
        optimiser=optimiser, iterations=3, learning_rate=0.01, matrix_rate=0.02, warmup=0.0,
        final_rate=1.0, weight_decay=0.5,
    )  # fmt: skip
    for size, rate in ((20, 0.02 if optimiser == "muon" else 0.01), (10, 0.01)):
        block = AffineBlock(size).double()
        block.shift.data += 1
        minimised(solver, block, flat, 10)
        kept = (1 - 0.5 * rate) ** 3
        expected = kept * torch.eye(size, dtype=torch.float64)
        torch.testing.assert_close(block.matrix.detach(), expected, rtol=1e-6, atol=1e-12)
        assert torch.equal(block.shift.detach(), torch.ones(size).double())
