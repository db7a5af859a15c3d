"""The part of the residual that allows for a block that is not an optimal map."""

from __future__ import annotations

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds._numbers import Real

__all__ = ["optimal_residual"]


def optimal_residual(residual: Real, gap: Real, step_size: float, lipschitz: Real) -> Real:
    """Return  eps <= |xi_T| + (Lip * gap)^1/2 / h,  the residual that the theorems use.

    They assume the optimal map from p_n to p_{n+1}; xi_T is computed with the block T. With
    gap = E|x - T x|^2 - W_2^2(p_n, p_{n+1}) the inverses of the two maps differ by
    (Lip * gap)^1/2 at most, in L^2(p_{n+1}).

    An objective that is convex along all couplings (potential, interaction energies) does not
    need it.

    Args:
        residual: |xi_T|.
        gap: The gap, or an upper bound (``transport_gap``).
        step_size: h.
        lipschitz: A Lipschitz constant of the *optimal* map from p_{n+1} to p_n. That of T^-1 is
            only a guess of it.

    Raises:
        UserError: A negative argument, or a step size that is not positive.

    Source: docs/theory.md (4.2).

    Example:
        >>> float(optimal_residual(0.1, 0.01, step_size=0.5, lipschitz=4.0))
        0.5
    """
    if not step_size > 0 or np.any(np.minimum(np.minimum(residual, gap), lipschitz) < 0):
        raise UserError(
            "a residual, a gap and a Lipschitz constant are not negative, and h is positive; got "
            f"{residual}, {gap}, {lipschitz} and {step_size}"
        )
    return residual + np.sqrt(lipschitz * gap) / step_size
