"""Step-size rules and the scheme ``jko``."""

import pytest
import torch

from wopt import Capability, History, Particles
from wopt_jko import JKO, KL, Constant, Geometric, Sequence


def test_constant():
    assert [Constant(0.3)(n) for n in range(3)] == [0.3] * 3
    assert Constant()(0) == 1.0


def test_geometric():
    rule = Geometric(initial=0.5, ratio=2.0)
    assert [rule(n) for n in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert [Geometric(0.5, 2.0, largest=1.5)(n) for n in range(4)] == [0.5, 1.0, 1.5, 1.5]
    assert [Geometric(1.0, 0.5)(n) for n in range(3)] == [1.0, 0.5, 0.25]


def test_sequence_repeats_its_last():
    assert [Sequence([1, 4, 2])(n) for n in range(5)] == [1.0, 4.0, 2.0, 2.0, 2.0]


def test_jko_anchors_at_the_particles():
    x = torch.randn(5, 2)
    kl = KL()
    history = History(Particles.start(x), None, None, 3, 0.7, 0.5)
    sub = JKO().subproblem(history, kl)
    assert torch.equal(sub.anchor, x)
    assert (sub.step_size, sub.implicit) == (0.7, kl)


def test_the_action_is_needed_where_it_is_the_transport_term():
    assert JKO().needs == Capability.NOTHING
    assert JKO(transport="action").needs == Capability.ACTION


@pytest.mark.parametrize("transport", ["displacement", "action"])
def test_the_loss_is_energy_plus_transport(block, x, transport):
    made, kl, h = block(steps=16), KL(), 0.7
    scheme = JKO(step_size=h, transport=transport)
    start = Particles.start(x)
    sub = scheme.subproblem(History(start, None, None, 0, h, None), kl)
    y, log_det, action = made.forward_with_action(x)
    cost = action if transport == "action" else (y - x).square().sum(1)
    expected = kl.energy(start.moved(y, log_det)) + cost.mean() / (2 * h)
    torch.testing.assert_close(sub.loss(made), expected)
