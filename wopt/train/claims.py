"""Claims of an objective or its target that facts of a run refute."""

from __future__ import annotations

import dataclasses

from wopt.capabilities import Capability
from wopt.interfaces.objective import Objective

__all__ = ["FalseClaim", "false_claims"]

_ERRORS = 5.0


@dataclasses.dataclass(frozen=True)
class FalseClaim:
    """A claim that an energy of the run refutes.

    Attributes:
        who: The class that makes the claim.
        claim: The claim in words.
        energy, error: The energy that refutes it, and its standard error.
        what_to_do: The remedy, in words.
    """

    who: str
    claim: str
    energy: float
    error: float
    what_to_do: str

    def text(self) -> str:
        """Return the message for the log, the terminal and the report."""
        return (
            f"{self.who} claims {self.claim}, and an energy of this run, {self.energy:.6g} +- "
            f"{self.error:.2g}, is below it: the claim is false, and so is every bound that uses "
            f"it. {self.what_to_do}"
        )


def false_claims(
    objective: Objective, energy: float, error: float, *, start_known: bool
) -> list[FalseClaim]:
    """Return the claims that an energy refutes, by more than five standard errors.

    A declared minimum bounds every energy. So does 0 for the energy of KL where the target says
    NORMALISED and the start's density is known, for the energy is then a divergence.

    Args:
        objective: The objective.
        energy: Its energy on particles that nothing was trained on.
        error: The energy's standard error.
        start_known: Whether the particles' density is known, so that the energy lacks no constant.

    Example:
        >>> from wopt.interfaces.objective import Objective
        >>> class Odd(Objective):
        ...     minimum = 5.0
        ...     def energy(self, particles):
        ...         return particles.mean(particles.points.square().sum(1))
        >>> false_claims(Odd(), 0.8, 0.01, start_known=True)[0].claim
        'minimum = 5'
        >>> false_claims(Odd(), 4.99, 0.01, start_known=True)
        []
    """
    allowed = _ERRORS * error + 1e-6 * (1 + abs(energy))
    refuted = []
    if objective.minimum is not None and energy < objective.minimum - allowed:
        refuted.append(
            FalseClaim(
                type(objective).__name__,
                f"minimum = {objective.minimum:g}",
                energy,
                error,
                "Mend it, or set `minimum = None`; `wopt check` tests it",
            )
        )
    target = objective.target
    claims = target is not None and Capability.NORMALISED in target.provides
    if claims and objective.gap_is_kl and start_known and energy < -allowed:
        refuted.append(
            FalseClaim(
                f"target {type(target).__name__}",
                "NORMALISED (a divergence of at least 0)",
                energy,
                error,
                "exp(-V) integrates to more than one: leave NORMALISED out of `provides`, or add "
                "log Z to V",
            )
        )
    return refuted
