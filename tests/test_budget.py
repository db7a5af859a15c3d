"""Budgets: training by the clock, and its repetition from a record, to the bit."""

import dataclasses
import itertools

import pytest
import torch

import wopt
from wopt import Training, clock
from wopt.host import host
from wopt.testing import AffineBlock
from wopt.train import Problem, Stage, first_of, minimise, repeated

LAW = {"name": "gaussian", "dim": 2, "mean": [2.0, 1.0], "n_train": 400, "n_valid": 200}
EACH = 1e-3


def clock_of(monkeypatch, *laps):
    """Let processor time advance by these numbers of seconds, one at every reading."""
    host()  # which times the import of plugins
    now = itertools.accumulate(itertools.chain(laps, itertools.repeat(EACH)))
    monkeypatch.setattr(clock.time, "process_time", lambda: next(now))


def quadratic(block, rows):
    return (block.shift - 3).square().sum() + (block.matrix - 2).square().sum()


def trained(solver, made=None):
    block = AffineBlock(1)
    return block, minimise(solver, Training(block, quadratic, 10), made=made)


def test_the_rate_follows_the_clock_and_is_repeated(monkeypatch):
    """The first 250 iterations take half of the time, the others a millisecond each."""
    clock_of(monkeypatch, *[2e-3] * 250)
    solver, made = wopt.InnerSolver(seconds=1.0, learning_rate=0.01), []
    block, report = trained(solver, made)
    (counts,) = made
    assert report.iterations == sum(counts) == pytest.approx(750, abs=3)
    assert sum(counts[:50]) == pytest.approx(250, abs=3)
    for seconds in (1e-6, 1e6):  # whatever the time
        again, repeated = trained(solver.with_options(seconds=seconds, recorded=made))
        assert repeated == report
        assert torch.equal(again.shift, block.shift)


def test_patience_may_be_a_fraction_of_the_schedule(monkeypatch):
    clock_of(monkeypatch)
    solver = wopt.InnerSolver(seconds=1.0, check_every=0.05, patience=0.2)
    held_out = iter([5.0, 4.0, 3.0, *[4.0] * 20])  # least after a tenth
    given = Training(AffineBlock(1), quadratic, 10, held_out=lambda _: next(held_out))
    report = minimise(solver, given)
    assert report.iterations == pytest.approx(300, abs=20)


def test_a_run_by_the_clock_repeats_to_the_bit():
    options = {"block": "affine", "stop": {"steps": 2}, "listener": False}
    by_clock = wopt.InnerSolver(seconds=[0.1, 0.05], learning_rate=0.02)
    first = wopt.solve(LAW, solver=by_clock, **options)
    assert [len(record.schedules) for record in first.history] == [2, 2]
    again = wopt.solve(LAW, solver=repeated(by_clock, first.history), **options)
    for one, other in zip(first.history, again.history, strict=True):
        assert one.energy == other.energy
        assert one.schedules == other.schedules


def test_training_goes_on_as_if_it_had_not_paused():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + 2
    particles = wopt.Particles.start(x)
    scheme = wopt.build("scheme", {"name": "jko", "step_size": 1.0})
    problem = Problem(wopt.build("objective", "kl"), scheme, AffineBlock(2))

    def stage(**options):
        solver = wopt.InnerSolver(batch_size=100, **options)
        of = dataclasses.replace(problem, solver=solver)
        return Stage(of, 0, 0, 0, first_of(of, particles), first_of(of, particles))

    brief = stage(seconds=0.05)
    block, _ = brief.train(None)
    longer = stage(seconds=[0.05, 0.1])
    longer.made.extend(brief.made)
    block, _ = longer.go_on(block, 1)
    whole, _ = stage(seconds=[0.05, 0.1], recorded=longer.made).train(None)
    for part, other in zip(block.parameters(), whole.parameters(), strict=True):
        assert torch.equal(part, other)
    assert len(longer.made) == 2


def test_lbfgs_ends_by_the_clock_with_the_best_that_it_has_seen(monkeypatch):
    def rosenbrock(block, rows):
        x, y = block.shift[0], block.matrix[0, 0]
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2

    clock_of(monkeypatch, *[0.1] * 20)
    block, made = AffineBlock(1).double(), []
    report = minimise(
        wopt.build("solver", {"name": "lbfgs", "seconds": 1.0}),
        Training(block, rosenbrock, 1),
        made=made,
    )
    assert report.iterations == sum(made[0]) == 9
    assert report.loss == rosenbrock(block, None).item() < 1
