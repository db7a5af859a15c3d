"""For authors of plugins: closed-form problems, an exact affine block, and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.testing.checks import LawError as LawError
    from wopt.testing.checks import check_block as check_block
    from wopt.testing.checks import check_objective as check_objective
    from wopt.testing.claims import check_claims as check_claims
    from wopt.testing.claims import check_convexity as check_convexity
    from wopt.testing.claims import check_minimum as check_minimum
    from wopt.testing.claims import check_needs as check_needs
    from wopt.testing.component import check_candidate as check_candidate
    from wopt.testing.component import check_component as check_component
    from wopt.testing.component import check_measurement as check_measurement
    from wopt.testing.component import check_solver as check_solver
    from wopt.testing.component import check_source as check_source
    from wopt.testing.component import check_step_size as check_step_size
    from wopt.testing.component import check_target as check_target
    from wopt.testing.gaussian import AffineBlock as AffineBlock
    from wopt.testing.gaussian import GaussianProblem as GaussianProblem
    from wopt.testing.gaussian import GaussianTarget as GaussianTarget
    from wopt.testing.gaussian import gaussian_kl as gaussian_kl
    from wopt.testing.gaussian import gaussian_nodes as gaussian_nodes
    from wopt.testing.gaussian import gaussian_problems as gaussian_problems
    from wopt.testing.gaussian import jko_step as jko_step
    from wopt.testing.gaussian import moments as moments
    from wopt.testing.schemes import check_scheme as check_scheme
    from wopt.testing.schemes import measured_order as measured_order
    from wopt.testing.schemes import run_scheme as run_scheme
    from wopt.testing.target_claims import check_target_claims as check_target_claims

__getattr__, __dir__ = exports(__name__, __file__)
