"""Rounds of equal arc length, against the closed form of JKO steps between Gaussians."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, gaussian_nodes
from wopt.train.arc import respace

START, SIZES = 3.0, [0.5, 0.5, 0.5]


def moves(sizes):
    """From N(3, 1) to N(0, 1) a JKO step moves the mean from m to m/(1 + h), and nothing else."""
    m, moved = START, []
    for h in sizes:
        moved.append(m - m / (1 + h))
        m /= 1 + h
    return moved


def solved(rounds, sizes=SIZES, **options):
    one = torch.ones(1, dtype=torch.float64)
    return wopt.solve(
        gaussian_nodes(START * one, one[None]),
        scheme={"name": "jko", "step_size": sizes},
        block=AffineBlock(1),
        solver={"optimiser": "lbfgs"},
        stop={"steps": len(sizes)},
        refine={"respace": rounds, **options},
    )


def test_rounds_are_those_of_the_closed_form():
    sizes = SIZES
    for rounds in range(4):
        history = solved(rounds).history
        assert [r.step_size for r in history] == pytest.approx(sizes, rel=1e-6)
        assert [r.w2_step for r in history] == pytest.approx(moves(sizes), rel=1e-6)
        assert sum(sizes) == pytest.approx(sum(SIZES))
        sizes = respace(sizes, moves(sizes), len(sizes))


def test_rounds_end_at_steps_that_move_equally_far():
    """m_n = 3 - n s with h_n = s / m_n, and the total time fixes s."""
    history = solved(12).history
    s = history[0].w2_step
    assert [r.w2_step for r in history] == pytest.approx([s, s, s], rel=1e-3)
    exact = [s / (START - (n + 1) * s) for n in range(3)]
    assert [r.step_size for r in history] == pytest.approx(exact, rel=2e-3)
    assert sum(exact) == pytest.approx(1.5, rel=2e-3)


def test_joint_training_follows_and_is_one_step_of_the_total_size():
    history = solved(2, iterations=200, rate=1.0).history
    assert sum(r.w2_step for r in history) == pytest.approx(START - START / 2.5, rel=1e-5)
    assert history[-1].refined > 200


def test_a_round_with_a_rejected_step_is_dropped(monkeypatch):
    from wopt.errors import DivergenceError
    from wopt.train import steps as module

    def made(problem, state):
        if len(state.records) == 1 and problem.refine.respace == 0:
            raise DivergenceError("rejected")
        return honest(problem, state)

    kept, honest = solved(0).history, module.next_state
    monkeypatch.setattr(module, "next_state", made)
    history = solved(2).history
    assert [r.step_size for r in history] == SIZES
    assert history[-1].refined < 0
    assert history[-1].energy == kept[-1].energy
