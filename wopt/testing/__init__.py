"""For authors of plugins: closed-form problems, an exact affine block, and checks."""

from wopt.testing.checks import LawError, check_block, check_objective
from wopt.testing.claims import check_claims, check_convexity, check_minimum, check_needs
from wopt.testing.component import (
    check_candidate,
    check_component,
    check_measurement,
    check_solver,
    check_source,
    check_step_size,
    check_target,
)
from wopt.testing.gaussian import (
    AffineBlock,
    GaussianProblem,
    GaussianTarget,
    gaussian_kl,
    gaussian_nodes,
    gaussian_problems,
    jko_step,
    moments,
)
from wopt.testing.schemes import check_scheme, measured_order, run_scheme
from wopt.testing.target_claims import check_target_claims

__all__ = [
    "AffineBlock",
    "GaussianProblem",
    "GaussianTarget",
    "LawError",
    "check_block",
    "check_candidate",
    "check_claims",
    "check_component",
    "check_convexity",
    "check_measurement",
    "check_minimum",
    "check_needs",
    "check_objective",
    "check_scheme",
    "check_solver",
    "check_source",
    "check_step_size",
    "check_target",
    "check_target_claims",
    "gaussian_kl",
    "gaussian_nodes",
    "gaussian_problems",
    "jko_step",
    "measured_order",
    "moments",
    "run_scheme",
]
