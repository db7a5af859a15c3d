"""Boxes of splines follow particles."""

import pytest
import torch

import wopt


def test_a_box_follows_the_particles():
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    block = wopt.build("block", "spline").build(dim=2)
    (first, second) = block._boxes()
    block.initialise(0.1 * x)
    assert float(first.bound) == 5
    block.initialise(20 * x)
    # 1.5 times 20 times the normal's 99.9 % quantile, 3.29, which 4000 points meet to 5 %.
    assert float(first.bound) == float(second.bound) == pytest.approx(1.5 * 20 * 3.29, rel=0.1)
    given = wopt.build("block", {"name": "spline", "bound": 3.0}).build(dim=2)
    given.initialise(20 * x)
    assert [float(box.bound) for box in given._boxes()] == [3, 3]
