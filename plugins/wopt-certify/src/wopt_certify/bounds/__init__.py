"""Bounds of W_2, KL and total variation that follow from a run's errors, as pure functions.

They take floats or numpy arrays and do not depend on networks. Throughout, p_n is the law after n
steps, q the minimiser of G (for G = KL(.|q) the target), h_n the step size, eps_n the norm of the
step's residual, lambda the convexity of G along generalized geodesics and e_n = G(p_n) - G(q),
which is KL(p_n|q) for KL. :func:`chain` puts all of them side by side along a run.

Each bound is a theorem *given* its arguments. A residual estimated from samples by a finite class
of test fields can be too low; the bound is then an estimate, and :func:`chain` labels it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_certify.bounds.along import StepBounds as StepBounds
    from wopt_certify.bounds.along import chain as chain
    from wopt_certify.bounds.along import with_transport_entropy as with_transport_entropy
    from wopt_certify.bounds.inequalities import Bound as Bound
    from wopt_certify.bounds.inequalities import a_posteriori as a_posteriori
    from wopt_certify.bounds.inequalities import log_sobolev as log_sobolev
    from wopt_certify.bounds.inequalities import optimal_residual as optimal_residual
    from wopt_certify.bounds.inequalities import smoothed_kl as smoothed_kl
    from wopt_certify.bounds.inequalities import (
        smoothed_kl_from_distance as smoothed_kl_from_distance,
    )
    from wopt_certify.bounds.inequalities import smoothing_distance as smoothing_distance
    from wopt_certify.bounds.inequalities import start_distance as start_distance
    from wopt_certify.bounds.inequalities import transport_entropy as transport_entropy
    from wopt_certify.bounds.inequalities import tv as tv
    from wopt_certify.bounds.rules import RULES as RULES
    from wopt_certify.bounds.rules import Base as Base
    from wopt_certify.bounds.rules import Entry as Entry
    from wopt_certify.bounds.rules import Floor as Floor
    from wopt_certify.bounds.rules import Label as Label
    from wopt_certify.bounds.rules import Rule as Rule
    from wopt_certify.bounds.rules import least as least
    from wopt_certify.bounds.steps import StepsNeeded as StepsNeeded
    from wopt_certify.bounds.steps import a_priori as a_priori
    from wopt_certify.bounds.steps import convex_last as convex_last
    from wopt_certify.bounds.steps import error_needed as error_needed
    from wopt_certify.bounds.steps import forward_backward as forward_backward
    from wopt_certify.bounds.steps import paper_distance as paper_distance
    from wopt_certify.bounds.steps import paper_gap as paper_gap
    from wopt_certify.bounds.steps import steps_needed as steps_needed
    from wopt_certify.bounds.steps import theorem_p as theorem_p
    from wopt_certify.bounds.steps import theorem_s as theorem_s
    from wopt_certify.bounds.steps import theorem_s_gap as theorem_s_gap

__getattr__, __dir__ = exports(__name__, __file__)
