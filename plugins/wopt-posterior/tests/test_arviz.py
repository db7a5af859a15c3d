"""Draws for ArviZ."""

import numpy as np
import pytest

import wopt
from wopt_posterior.summary import variables


def test_elements_become_arrays():
    draws = np.arange(12.0).reshape(2, 6)
    names = ["w[0,1]", "w[0,0]", "tau", "t[1]", "t[2]", "odd[3]"]
    found = variables(draws, names)
    assert found["w"].shape == (1, 2, 1, 2)
    assert found["w"][0, 0].tolist() == [[1.0, 0.0]]
    assert found["t"][0].tolist() == [[3.0, 4.0], [9.0, 10.0]]
    assert found["odd[3]"].shape == found["tau"].shape == (1, 2)


@pytest.mark.filterwarnings("ignore")
def test_to_arviz():
    pytest.importorskip("arviz")
    found = wopt.sample(
        lambda x: -(x - 2).square().sum(1) / 2, 3, names=["a[0]", "a[1]", "b"], n=500
    )
    group = found.to_arviz()["posterior"]
    assert group["a"].shape == (1, 500, 2)
    assert abs(float(group["b"].mean()) - 2) < 0.2
    assert group.attrs["k_hat"] == found.k_hat
