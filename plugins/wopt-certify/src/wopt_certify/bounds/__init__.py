"""Bounds of W_2, KL and total variation that follow from a run's errors, as pure functions.

They take floats or numpy arrays and do not depend on networks. Throughout, p_n is the law after n
steps, q the minimiser of G (for G = KL(.|q) the target), h_n the step size, eps_n the norm of the
step's residual, lambda the convexity of G along generalized geodesics and e_n = G(p_n) - G(q),
which is KL(p_n|q) for KL. :func:`chain` puts all of them side by side along a run.

Each bound is a theorem *given* its arguments. A residual estimated from samples by a finite class
of test fields can be too low; the bound is then an estimate, and :func:`chain` labels it so.
"""

from wopt_certify.bounds.chain import StepBounds, chain, with_transport_entropy
from wopt_certify.bounds.inequalities import (
    log_sobolev,
    smoothed_kl,
    smoothed_kl_from_distance,
    smoothing_distance,
    start_distance,
    transport_entropy,
    tv,
)
from wopt_certify.bounds.paper import paper_distance, paper_gap
from wopt_certify.bounds.rules import RULES, Base, Entry, Floor, Label, Rule, least
from wopt_certify.bounds.steps import (
    StepsNeeded,
    a_priori,
    error_needed,
    steps_needed,
    theorem_p,
    theorem_s,
    theorem_s_gap,
)
from wopt_certify.bounds.variants import (
    Bound,
    a_posteriori,
    convex_last,
    forward_backward,
    optimal_residual,
)

__all__ = [
    "RULES",
    "Base",
    "Bound",
    "Entry",
    "Floor",
    "Label",
    "Rule",
    "StepBounds",
    "StepsNeeded",
    "a_posteriori",
    "a_priori",
    "chain",
    "convex_last",
    "error_needed",
    "forward_backward",
    "least",
    "log_sobolev",
    "optimal_residual",
    "paper_distance",
    "paper_gap",
    "smoothed_kl",
    "smoothed_kl_from_distance",
    "smoothing_distance",
    "start_distance",
    "steps_needed",
    "theorem_p",
    "theorem_s",
    "theorem_s_gap",
    "transport_entropy",
    "tv",
    "with_transport_entropy",
]
