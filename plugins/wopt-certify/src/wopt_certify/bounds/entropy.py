"""Inequalities between KL, Fisher information, W_2 and total variation at one measure."""

from __future__ import annotations

import numpy as np

from wopt_certify.bounds._numbers import Real, require_positive

__all__ = ["log_sobolev", "transport_entropy", "tv"]

_INSTEAD = "without it KL is not controlled by the gradient"


def log_sobolev(fisher: Real, lam: float) -> Real:
    """Return the bound  KL(p|q) <= I(p|q) / (2 lambda).

    I = E_p |grad V + grad log p|^2 is the squared norm of the Wasserstein gradient.

    Conditions: q satisfies a log-Sobolev inequality with constant lambda > 0, for instance
    because its potential is lambda-convex (Bakry, Emery); equality for shifted Gaussians.

    Args:
        fisher: I(p|q).
        lam: lambda.

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md (1.10).

    Example:
        >>> log_sobolev(9.0, 1.0)  # N(3, 1) and N(0, 1), whose KL is 9/2
        4.5
    """
    require_positive("lambda", lam, "the log-Sobolev bound", _INSTEAD)
    return fisher / (2 * lam)


def transport_entropy(kl: Real, lam: float) -> Real:
    """Return the bound  W_2(p, q) <= (2 KL(p|q) / lambda)^1/2  (T2).

    Conditions are those of :func:`log_sobolev`, which implies it (Otto, Villani); equality for
    shifted Gaussians.

    Args:
        kl: KL(p|q), or a bound of it.
        lam: lambda.

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md 1.6, Theorem Q.

    Example:
        >>> float(transport_entropy(4.5, 1.0))
        3.0
    """
    require_positive("lambda", lam, "the transport-entropy bound", _INSTEAD)
    return np.sqrt(2 * kl / lam)


def tv(kl: Real) -> Real:
    """Return the bound  TV <= min{(KL/2)^1/2, (1 - exp(-KL))^1/2}.

    TV is the largest difference of the two probabilities of one event, at most 1. The first term
    is Pinsker's, the smaller one up to KL = 1.59; the second (Bretagnolle, Huber 1979) is always
    below 1.

    Args:
        kl: KL, or a bound of it, in either order of the two measures.

    Example:
        >>> float(tv(0.02)), round(float(tv(3.0)), 4)
        (0.1, 0.9748)
    """
    return np.minimum(np.sqrt(kl / 2), np.sqrt(-np.expm1(-kl)))
