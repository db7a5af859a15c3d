"""Momentum: fewer steps than jko, restarts, and the memory of FISTA."""

import dataclasses
import math

import pytest
import torch

import wopt
from wopt.testing import GaussianProblem, run_scheme

GAP = 1e-6


@pytest.fixture(scope="module")
def flat():
    """One dimension, lambda = 1/1.85."""
    values = ([2.5], [[0.64]], [0.0], [[1.85]])
    return GaussianProblem(*(torch.tensor(v, dtype=torch.float64) for v in values))


def steps_to_gap(p, h, momentum):
    x, before, steps = p.labels(), p.labels(), 0
    while p.gap(x) > GAP:
        x, before = p.prox(x + momentum * (x - before), h), x
        steps += 1
    return steps


def momentum(h, convexity):
    root = math.sqrt(1 + 1 / (h * convexity))
    return (root - 1) / (root + 1)


@pytest.mark.parametrize(("h", "jko", "accelerated"), [(0.05, 269, 54), (0.2, 70, 25)])
def test_counts_of_exact_steps(h, jko, accelerated, flat):
    """The counts of docs/theory.md 3.4."""
    assert steps_to_gap(flat, h, 0.0) == jko
    assert steps_to_gap(flat, h, momentum(h, 1 / 1.85)) == accelerated


def fista(p, h, steps, restart):
    x, before, t, restarts = p.labels(), p.labels(), 1.0, 0
    for _ in range(steps):
        if restart and float((p.gradient(x) * (x - before)).sum()) > 0:
            t, restarts = 1.0, restarts + 1
        t, old = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        x, before = p.prox(x + (old - 1) / t * (x - before), h), x
    return x, restarts


@pytest.mark.parametrize("restart", [True, False])
def test_fista_with_and_without_restart(restart, problems):
    p = problems["rotated"]
    scheme = wopt.build(
        "scheme", {"name": "accelerated", "step_size": 0.5, "convexity": 0, "restart": restart}
    )
    found = run_scheme(scheme, p, 12)
    expected, restarts = fista(p, 0.5, 12, restart)
    assert bool(restarts) == restart
    assert torch.allclose(found.state.train.particles.points, p.placed(expected), atol=1e-7)


def test_restart_helps(problems):
    p = problems["rotated"]
    assert p.gap(fista(p, 0.5, 12, True)[0]) < p.gap(fista(p, 0.5, 12, False)[0]) / 3


def test_memory_of_fista_is_in_the_state(problems):
    """It goes on from a checkpoint: the plan of the last step."""
    p, scheme = problems["line"], wopt.build("scheme", {"name": "accelerated", "convexity": 0})
    state = run_scheme(scheme, p, 3).state
    assert state.plan["t"] > 2
    history = wopt.History(
        state.train.particles, state.train.previous, None, 3, 1.0, 1.0, state.plan
    )
    following = scheme.plan(history, p.objective())
    assert following["momentum"] == pytest.approx((state.plan["t"] - 1) / following["t"])
    fresh = scheme.plan(dataclasses.replace(history, plan={}), p.objective())
    assert fresh["momentum"] == 0
