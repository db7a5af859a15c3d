"""Theorem Q: a bound from the last step alone."""

from __future__ import annotations

import dataclasses
from typing import Generic

from wopt_certify.bounds._numbers import Real, require_positive

__all__ = ["Bound", "a_posteriori"]


@dataclasses.dataclass(frozen=True)
class Bound(Generic[Real]):
    """Upper bounds of the distance to the minimiser q.

    Attributes:
        w2: Bound of W_2(p, q).
        kl: Bound of KL(p|q), or of G(p) - G(q) for another objective.
    """

    w2: Real
    kl: Real


def a_posteriori(moved: Real, step_size: float | Real, error: Real, lam: float) -> Bound[Real]:
    """Return  KL <= (D/h + eps)^2 / (2 lambda)  and  W_2 <= (D/h + eps) / lambda.

    D/h + eps bounds the norm of the Wasserstein gradient at the new measure, so this is the
    log-Sobolev inequality without a score. It holds for every scheme that ends with a proximal
    step, with the base and the effective step of that one; the past does not matter.

    Conditions: KL to a q with a log-Sobolev inequality of constant lambda > 0, or any
    lambda-convex objective. Equality for shifted Gaussians.

    Args:
        moved: D = W_2(base, p); the root mean square movement is never below it.
        step_size: h.
        error: eps, the norm of the step's residual.
        lam: lambda.

    Raises:
        UserError: lambda is not positive.

    Source: docs/theory.md (1.11).

    Example:
        >>> a_posteriori(0.5, 0.5, 0.1, lam=1.0)
        Bound(w2=1.1, kl=0.6050000000000001)
    """
    require_positive("lambda", lam, "the a-posteriori bound", "no distance is certified without")
    gradient = moved / step_size + error
    return Bound(w2=gradient / lam, kl=gradient * gradient / (2 * lam))
