"""Checks of an objective's claims: its convexity, its minimum, its needs."""

from __future__ import annotations

from wopt.interfaces.objective import Objective
from wopt.testing.energies import check_convexity, check_minimum
from wopt.testing.needs import check_needs

__all__ = ["check_claims"]


def check_claims(objective: Objective, *, seed: int = 0) -> list[str]:
    """Check the properties that an objective declares: convexity, minimum, needs.

    A claim that passes is not proved, and one that fails is false.

    Args:
        objective: The objective, with its target.
        seed: Seed of the random laws.

    Returns:
        The names of the laws that were checked.

    Raises:
        LawError: A claim is false; the message says which, and how.

    Example:
        >>> import wopt
        >>> check_claims(wopt.build("objective", "kl"))
        ['needs_are_declared', 'convexity_is_1']
    """
    target = objective.target
    bound = objective.dim if target is None else target.dim
    dims = (1, 2) if bound is None else (bound,)
    done = []
    for dim in dims:
        checked = [
            *check_needs(objective, dim, seed=seed),
            *check_convexity(objective, dim, seed=seed),
            *check_minimum(objective, dim, seed=seed),
        ]
        done += [law for law in checked if law not in done]
    return done
