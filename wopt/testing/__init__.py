"""For authors of plugins: closed-form problems, an exact affine block, and checks."""

from wopt.testing.affine import AffineBlock
from wopt.testing.checks import check_block, check_objective
from wopt.testing.gaussian import (
    GaussianTarget,
    gaussian_kl,
    gaussian_nodes,
    jko_step,
    moments,
)

__all__ = [
    "AffineBlock",
    "GaussianTarget",
    "check_block",
    "check_objective",
    "gaussian_kl",
    "gaussian_nodes",
    "jko_step",
    "moments",
]
