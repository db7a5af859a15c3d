"""Stop rules: number of steps, movement, held-out NLL."""

import dataclasses

import pytest
import torch

import wopt
from wopt import StepRecord, Stop
from wopt.testing import AffineBlock, gaussian_nodes
from wopt.train.steps import steps


def records(*values, w2=1.0):
    """Return records with these held-out NLLs."""
    plain = {field.name: None for field in dataclasses.fields(StepRecord)}
    moves = w2 if isinstance(w2, list) else [w2] * len(values)
    return [
        StepRecord(**plain | {"step": k, "nll_valid": value, "w2_step": move})
        for k, (value, move) in enumerate(zip(values, moves, strict=True), 1)
    ]


def test_the_number_of_steps():
    stop = Stop(steps=3)
    assert stop.reason(records(3.0, 2.0)) is None
    assert stop.reason(records(3.0, 2.0, 1.0)) == "all 3 steps are made"


def test_movement_is_a_mean_square():
    stop = Stop(steps=9, movement=0.01)
    assert stop.reason(records(3.0, w2=0.11)) is None
    assert "moved by 0.0081 < 0.01" in stop.reason(records(3.0, w2=0.09))
    # Only the last step counts.
    assert stop.reason(records(3.0, 2.0, w2=[0.01, 1.0])) is None


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ([3.0], False),
        ([3.0, 2.0], False),
        ([3.0, 2.9], False),  # patience 2: one poor step is allowed
        ([3.0, 2.95, 2.92], True),
        ([3.0, 2.95, 2.85], False),
        ([3.0, 3.5, 3.4], True),
        ([3.0, 2.0, 2.5, 1.95], True),
        ([3.0, 2.0, 2.5, 1.8], False),
        ([3.0, 2.5, 2.0, 1.5], False),
    ],
)
def test_the_nll_must_fall(values, stops):
    reason = Stop(steps=9, nll_patience=2, nll_tolerance=0.1).reason(records(*values))
    assert (reason is not None) == stops
    if stops:
        assert "held-out NLL did not fall by 0.1 in 2 step(s)" in reason


def test_without_a_likelihood_the_nll_rule_is_silent():
    assert Stop(steps=9, nll_patience=1).reason(records(None, None, None)) is None


def test_the_nll_rule_ends_a_run():
    target = wopt.build("target", "gaussian")
    zero, one = torch.zeros(2).double(), torch.eye(2).double()
    found = wopt.solve(
        gaussian_nodes(zero, one),
        objective={"name": "kl", "target": target},
        block=AffineBlock(2),
        solver=wopt.InnerSolver(optimiser="lbfgs", iterations=20),
        stop=Stop(steps=5, nll_patience=1),
    )
    assert found.state.step == 2
    assert "did not fall" in found.reason
    assert found.history[-1].stop == found.reason
    assert found.history[0].stop is None


def test_the_residual_rule_compares_movement_per_h():
    def after(w2, residual, h=0.5):
        (record,) = records(3.0, w2=w2)
        return [dataclasses.replace(record, step_size=h, residual=residual)]

    stop = Stop(steps=9, residual=2.0)
    assert stop.reason(after(0.5, 0.4)) is None  # 1.0 > 2 * 0.4
    assert "movement per h, 1, fell to 2 times the residual, 0.6" in stop.reason(after(0.5, 0.6))
    assert stop.reason(after(0.5, 0.6, h=0.25)) is None
    # Where the residual is not known, or is all noise, the rule is silent.
    assert stop.reason(after(0.5, None)) is None
    assert stop.reason(after(0.5, 0.0)) is None


def test_the_residual_rule_ends_a_run_where_the_floor_is_reached():
    """From N(3, I) by maps solved to eps only, the movement per h falls to about eps."""
    mean = torch.full((2,), 3.0, dtype=torch.float64)
    found = wopt.solve(
        gaussian_nodes(mean, torch.eye(2).double()),
        scheme={"name": "jko", "step_size": 1.0},
        block=AffineBlock(2),
        solver=wopt.InnerSolver(iterations=60, learning_rate=0.05, check_every=5, tolerance=0.1),
        stop=Stop(steps=20, residual=1.0),
    )
    assert 3 <= found.state.step < 20
    assert "residual" in found.reason
    last = found.history[-1]
    assert last.w2_step <= last.residual
    assert all(r.w2_step > r.residual for r in found.history[:-1])


def test_a_listener_may_end_the_steps_and_the_ones_after_it_see_why():
    seen = []

    class Enough(wopt.Listener):
        def stepped(self, state):
            return state.stopped("enough") if state.step == 2 else None

    class Sees(wopt.Listener):
        def stepped(self, state):
            seen.append(state.records[-1].stop)

    x = gaussian_nodes(torch.ones(1).double(), 4 * torch.eye(1).double())
    parts = wopt.build("objective", "kl"), wopt.build("scheme", "jko"), AffineBlock(1)
    solver, listeners = wopt.InnerSolver(optimiser="lbfgs"), (Enough(), Sees())
    problem = wopt.Problem(*parts, solver, start=(x, x), listeners=listeners)
    states = list(steps(problem))
    assert [state.step for state in states] == [1, 2]
    assert seen == [state.records[-1].stop for state in states] == [None, "enough"]
    # Another rule is asked anew, so the run may go on.
    more = dataclasses.replace(problem, listeners=(), stop=wopt.Stop(steps=3))
    assert [state.step for state in steps(more, states[-1])] == [3]
