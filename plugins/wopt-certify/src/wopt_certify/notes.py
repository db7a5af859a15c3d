"""The notes of a certificate: assumptions, false claims and parts left out."""

from __future__ import annotations

from collections.abc import Sequence

from wopt.interfaces.objective import Objective
from wopt_certify.analysis import Analysis
from wopt_certify.bounds import Floor, StepBounds
from wopt_certify.estimate import Estimate
from wopt_certify.refute import LOCAL

__all__ = ["notes_of"]


def notes_of(found: Analysis) -> tuple[str, ...]:
    """Return the notes: the assumptions of the bounds, false claims and parts left out."""
    objective, convexity = found.objective, found.convexity
    notes = [*_impossible(objective, found.gaps), *found.evidence.remarks]
    notes.append(
        "Residuals, movements and moments are estimates from particles that nothing was trained "
        "on; their upper ends go into the bounds."
    )
    residuals = [m.step.residual for m in found.measures]
    if any(one.by_fields for one in residuals if one is not None):
        notes.append(
            "eps by test fields is a lower bound of the true first-order error up to sampling "
            "error: what the fields cannot see is missing, however small the value. A bound given "
            "the eps seen holds for the true one only; another model whose test NLL is lower by "
            "more than such a bound refutes it."
        )
    if convexity is not None or objective.convexity is None:
        notes.append(_of_lambda(convexity))
    if found.base in ("other", "none"):
        notes.append(
            "The steps do not chain as proximal steps from the law before (the scheme is not jko), "
            "so bounds along the run are left out."
        )
    if found.base == "forward":
        notes.append(
            "The forward-backward bound needs the optimal map from the end of the explicit step, "
            "which is not checked."
        )
    notes.extend(_refutations(found.bounds))
    return tuple(notes)


def _impossible(objective: Objective, gaps: Sequence[Estimate | None]) -> list[str]:
    """Return a note on the false claim where a gap that cannot be negative is."""
    false = [(k, gap) for k, gap in enumerate(gaps, 1) if gap is not None and gap.impossible]
    if not false:
        return []
    step, gap = false[-1]
    value = gap.raw if gap.raw is not None else gap.value
    if objective.gap_is_kl:
        who = type(objective.target).__name__
        return [
            f"KL is estimated as {value:.4g} +- {gap.error:.2g} after step {step}, and no "
            f"divergence is negative: the target is not normalised. {who} declares NORMALISED, so "
            "exp(-potential) should integrate to one; leave NORMALISED out of `provides`, or add "
            "the constant. The value is not a divergence, and no bound is computed from it."
        ]
    return [
        f"The energy after step {step} lies {-value:.4g} +- {gap.error:.2g} below the minimum that "
        f"{type(objective).__name__} declares: the declared minimum is false, and the lambda that "
        "it declares is not used either."
    ]


def _of_lambda(convexity: float | None) -> str:
    if convexity is None:
        return (
            "The objective's geodesic convexity lambda is not known, so no bound from above "
            "follows from the errors of the steps."
        )
    if convexity <= 0:
        return (
            f"lambda = {convexity:g} is not positive, so neither contraction nor a log-Sobolev "
            "constant is known; only what holds without them is stated."
        )
    return (
        f"The bounds need lambda = {convexity:.4g} (geodesic convexity, as declared) and the true "
        "eps of each step; those along the run need optimal maps besides, which the symmetry of DT "
        "speaks for or against."
    )


def _refutations(bounds: Sequence[StepBounds]) -> list[str]:
    refutations, carried_on = [], set[str]()
    for step, row in enumerate(bounds, 1):
        reported: dict[Floor, list[str]] = {}
        for name, entry in row.gap.items():
            if entry.refuted and entry.value is not None and name not in carried_on:
                reported.setdefault(entry.refuted, []).append(f"{name} ({entry.value:.4g})")
                if name not in LOCAL:
                    carried_on.add(name)
        for why, names in reported.items():
            refutations.append(f"Refuted after step {step}, by {why}: {', '.join(names)}.")
    return refutations
