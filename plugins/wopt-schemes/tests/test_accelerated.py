"""Momentum: fewer steps than jko, restarts, and the memory of FISTA."""

import dataclasses
import math

import pytest
import torch

import wopt
from wopt.testing import run_scheme


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
