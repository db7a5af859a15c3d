"""For authors of plugins: closed-form problems, an exact affine block, and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.targets import jko_step as jko_step
    from wopt.targets import moments as moments
    from wopt_testing.checks import LawError as LawError
    from wopt_testing.checks import check_block as check_block
    from wopt_testing.checks import check_objective as check_objective
    from wopt_testing.claims import check_claims as check_claims
    from wopt_testing.claims import check_convexity as check_convexity
    from wopt_testing.claims import check_minimum as check_minimum
    from wopt_testing.claims import check_needs as check_needs
    from wopt_testing.component import check_candidate as check_candidate
    from wopt_testing.component import check_component as check_component
    from wopt_testing.component import check_measurement as check_measurement
    from wopt_testing.component import check_solver as check_solver
    from wopt_testing.component import check_source as check_source
    from wopt_testing.component import check_step_size as check_step_size
    from wopt_testing.component import check_target as check_target
    from wopt_testing.gaussian import AffineBlock as AffineBlock
    from wopt_testing.gaussian import GaussianProblem as GaussianProblem
    from wopt_testing.gaussian import GaussianTarget as GaussianTarget
    from wopt_testing.gaussian import NormalTarget as NormalTarget
    from wopt_testing.gaussian import gaussian_kl as gaussian_kl
    from wopt_testing.gaussian import gaussian_nodes as gaussian_nodes
    from wopt_testing.gaussian import gaussian_problems as gaussian_problems
    from wopt_testing.schemes import check_scheme as check_scheme
    from wopt_testing.schemes import measured_order as measured_order
    from wopt_testing.schemes import run_scheme as run_scheme
    from wopt_testing.target_claims import check_target_claims as check_target_claims

__getattr__, __dir__ = exports(__name__, __file__)
