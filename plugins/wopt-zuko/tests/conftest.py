"""What the tests share: the blocks with the options under test, and random parameters."""

import pytest
import torch

import wopt

SMALL = {"hidden": [16, 16]}
STRUCTURES = [
    "MaskedAutoregressiveTransform",
    "GeneralCouplingTransform",
    "ElementWiseTransform",
]
UNIVARIATE = ["MonotonicAffineTransform", "MonotonicRQSTransform", "BoundedBernsteinTransform"]

BLOCKS = {
    "coupling": {"name": "coupling"},
    "maf": {"name": "maf"},
    "maf-two-passes": {"name": "maf", "passes": 2, "activation": "tanh"},
    "naf": {"name": "naf", "monotone": [8, 8], "signal": 4},
    "naf-two-passes": {"name": "naf", "monotone": [6], "passes": 2, "activation": "tanh"},
    "spline": {"name": "spline", "bins": 5},
    "spline-coupling": {"name": "spline", "passes": 2, "activation": "elu", "transforms": 3},
    "spline-small-box": {"name": "spline", "bound": 1.5},
} | {
    f"zuko-{structure}-{univariate}": {
        "name": "zuko",
        "transform": structure,
        "univariate": univariate,
        "pieces": 6,
    }
    for structure in STRUCTURES
    for univariate in UNIVARIATE
}


@pytest.fixture(params=BLOCKS)
def table(request):
    """Return the table of each block under test."""
    return SMALL | BLOCKS[request.param]


@pytest.fixture
def new():
    """Return a function that makes a new block of a table, in float64."""

    def make(table, dim=3, **context):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return wopt.build("block", table).build(dim=dim, **context).double()

    return make


@pytest.fixture
def shaken(new):
    """Return a function that makes a block whose map is far from the identity."""

    def make(table, dim=3, size=0.3, **context):
        block = new(table, dim, **context)
        rng = torch.Generator().manual_seed(1)
        for parameter in block.parameters():
            parameter.data += size * torch.randn(parameter.shape, dtype=torch.double, generator=rng)
        return block.requires_grad_(False).eval()

    return make


@pytest.fixture
def x():
    """Return points in three dimensions, some far out."""
    rng = torch.Generator().manual_seed(9)
    return 2 * torch.randn(40, 3, dtype=torch.float64, generator=rng)
