"""What the tests share: the place of the real data, and quadrature in the plane."""

import os
from pathlib import Path

import pytest
import torch

DATA = Path(os.environ.get("WOPT_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture
def real_data():
    """Return the folder of real data, or skip."""
    if not DATA.is_dir():
        pytest.skip(f"real data are absent: no folder {DATA}; WOPT_DATA can name another place")
    return DATA


@pytest.fixture
def grid():
    """Return a function that makes nodes and the weight of the trapezoidal rule on a square."""

    def make(half, count, dim=2):
        axis = torch.linspace(-half, half, count, dtype=torch.float64)
        nodes = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
        return nodes, float(axis[1] - axis[0]) ** dim

    return make
