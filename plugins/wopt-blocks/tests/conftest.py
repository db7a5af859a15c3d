"""What the tests share: the blocks with the options under test, and maps far from the identity."""

import sys

import pytest
import torch

import wopt
from wopt.cli.main import main

WITH_LOG_DET = {
    "affine": {"name": "affine"},
    "affine-symmetric": {"name": "affine", "symmetric": True},
    "icnn": {"name": "icnn", "width": 16},
    "icnn-shallow": {"name": "icnn", "width": 8, "depth": 1, "sharpness": 1.0},
    "icnn-deep": {"name": "icnn", "width": 8, "depth": 3},
    "residual": {"name": "residual", "width": 16},
    "residual-tanh": {"name": "residual", "width": 8, "depth": 3, "activation": "tanh"},
    "residual-narrow": {"name": "residual", "width": 2, "depth": 1, "activation": "softplus"},
    "residual-series": {"name": "residual", "width": 16, "exact": 0},
    "residual-free": {"name": "residual", "width": 8, "lipschitz": 0.0},
    "autoregressive": {"name": "autoregressive", "bins": 4, "hidden": [4, 4], "transforms": 2},
    "autoregressive-plain": {
        "name": "autoregressive",
        "univariate": "spline",
        "bins": 2,
        "hidden": [7, 9],
        "residual": False,
    },
    "autoregressive-scales": {
        "name": "autoregressive",
        "bins": 4,
        "hidden": [4, 4],
        "transforms": 2,
        "magnitudes": True,
        "radial": True,
    },
    "autoregressive-images": {
        "name": "autoregressive",
        "bins": 4,
        "hidden": [4, 4],
        "transforms": 2,
        "sees": "images",
    },
    "autoregressive-defensive": {
        "name": "autoregressive",
        "univariate": "affine",
        "hidden": [4],
        "transforms": 2,
        "tails": "defensive",
    },
    "autoregressive-affine": {
        "name": "autoregressive",
        "univariate": "affine",
        "hidden": [4],
        "transforms": 2,
        "tails": "logarithmic",
    },
}
BLOCKS = WITH_LOG_DET | {"particles": {"name": "particles"}}


@pytest.fixture(params=BLOCKS)
def any_table(request):
    """Return the table of each block under test."""
    return dict(BLOCKS[request.param])


@pytest.fixture(params=WITH_LOG_DET)
def table(request):
    """Return the table of each block that has a log-det."""
    return dict(WITH_LOG_DET[request.param])


@pytest.fixture(scope="session")
def new():
    """Return a function that makes a new block of a table, in float64."""

    def make(table, dim=3, **context):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return wopt.build("block", table).build(dim=dim, **context).double()

    return make


@pytest.fixture(scope="session")
def shaken(new):
    """Return a function that makes a block whose map is far from the identity.

    The last layer of ``residual`` is zero when new; it gets what bends the map visibly.
    """

    def make(table, dim=3, size=0.3, seed=1, **context):
        block = new(table, dim, **context)
        rng = torch.Generator().manual_seed(seed)
        for parameter in block.parameters():
            parameter.data += size * torch.randn(parameter.shape, dtype=torch.double, generator=rng)
        return block.requires_grad_(False).eval()

    return make


@pytest.fixture(scope="session")
def x():
    """Return points in three dimensions, some far out."""
    rng = torch.Generator().manual_seed(9)
    return 2 * torch.randn(40, 3, dtype=torch.float64, generator=rng)


@pytest.fixture
def command(monkeypatch):
    """Return the command ``wopt``, run in this process, answering its exit status."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["wopt", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return call
