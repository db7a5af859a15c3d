"""The certificate of a run: what was measured, what follows, and how each figure is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from wopt.certify.bounds import (
    Base,
    Entry,
    StepBounds,
    chain,
    error_needed,
    mixed_statement,
    steps_needed,
)
from wopt.certify.certifier import Certifier
from wopt.certify.estimate import Estimate
from wopt.certify.evidence import Evidence
from wopt.certify.inverse import round_trips
from wopt.certify.measure import StepMeasure, measure_step
from wopt.certify.optimality import optimality_part
from wopt.certify.replay import replay
from wopt.certify.start import Start, smoothing_part, start_of_run
from wopt.errors import UserError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.seeds import derive
from wopt.train.problem import Problem
from wopt.train.record import StepRecord

__all__ = ["make_certificate"]

Progress = Callable[[int, int], None]
"""Told of the steps measured, and of how many."""


def make_certificate(
    problem: Problem,
    blocks: Sequence[FlowBlock],
    records: Sequence[StepRecord],
    evidence: Evidence,
    certifier: Certifier,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a run and return what ``certificate.json`` holds.

    Args:
        problem: What was minimised and how.
        blocks: Its maps.
        records: A record a map.
        evidence: What to measure it on.
        certifier: How.
        progress: Told of the work.

    Raises:
        UserError: The run has no steps.
    """
    if not blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    objective = problem.objective
    measures: list[StepMeasure] = []
    optimality: list[dict[str, Any] | None] = []
    score, after = evidence.score, evidence.particles
    second = [_second_moment(after)]
    for passage in replay(problem, blocks, records, evidence.particles):
        seed = derive(problem.seed, "certify", passage.record.step)
        options = certifier.of_critic(problem.solver.iterations, seed)
        found, score = measure_step(problem, passage, options, score)
        residual = found.residual[1] if found.residual else None
        rows = certifier.transport_rows
        optimality.append(
            optimality_part(passage, residual, found.effective, rows, certifier.level, seed)
        )
        measures.append(found)
        after = passage.after
        second.append(_second_moment(after))
        if progress:
            progress(len(measures), len(blocks))
    start = start_of_run(objective, evidence)
    base = _common_base(measures)
    convexity, smoothness = _constants(objective, base)
    bounds = _bounds(measures, start, second, convexity, smoothness, base)
    trips = round_trips(blocks, objective.target, evidence, certifier.level)
    smoothing = smoothing_part(evidence)
    return {
        "of": "KL(p_n | q)" if objective.gap_is_kl else "G(p_n) - min G",
        "particles": len(evidence.particles),
        "origin": evidence.origin,
        "level": certifier.level,
        "lambda": convexity,
        "smoothness": smoothness,
        "base": base,
        "start": {"w2": start.w0, "kl": start.kl0, "label": "bound, from sample moments"},
        "steps": [
            _step(objective, measure, optimality[k], bounds[k] if bounds else None)
            for k, measure in enumerate(measures)
        ],
        "final": _final(objective, measures, bounds, convexity, certifier),
        "round_trip": trips,
        "smoothing": smoothing,
        "statement": _statement(objective, measures, bounds, trips, smoothing),
        "notes": _notes(measures, convexity, base),
    }


def _second_moment(at: Particles) -> float:
    moved = at.points[:, : at.dim - at.condition].double()
    return float(Particles(moved, _double(at.weights)).mean(moved.square().sum(1)))


def _double(weights: Tensor | None) -> Tensor | None:
    return None if weights is None else weights.double()


def _common_base(measures: Sequence[StepMeasure]) -> Base:
    """Return the base that all steps have; steps of different kinds do not chain."""
    kinds = {m.base for m in measures}
    if len(kinds) == 1:
        return kinds.pop()
    return "none" if "none" in kinds or "forward" in kinds else "other"


def _constants(objective: Objective, base: Base) -> tuple[float | None, float | None]:
    """Return lambda of the objective, or of its explicit part and its L where there is one."""
    if base != "forward":
        return objective.convexity, None
    explicit, rest = objective.split()
    if explicit is None or rest is None or rest.convexity is None or rest.convexity < 0:
        return objective.convexity, None
    return explicit.convexity, None if explicit.target is None else explicit.target.smoothness


def _bounds(
    measures: Sequence[StepMeasure],
    start: Start,
    second: Sequence[float],
    convexity: float | None,
    smoothness: float | None,
    base: Base,
) -> list[StepBounds]:
    """Return all bounds; the upper ends of the intervals go into them."""
    if convexity is None:
        return []
    return chain(
        [m.effective for m in measures],
        [m.residual[1].high if m.residual else None for m in measures],
        convexity,
        moved=[m.movement.high for m in measures],
        w0=start.w0,
        kl0=start.kl0,
        second_moments=second,
        target_second_moment=start.second,
        fisher=[m.fisher[1].high ** 2 for m in measures],
        base=base,
        smoothness=smoothness,
        measured=("fisher", "second_moments"),
    )


def _step(
    objective: Objective,
    measure: StepMeasure,
    optimality: dict[str, Any] | None,
    bounds: StepBounds | None,
) -> dict[str, Any]:
    """Return a step's part of the file."""
    best = measure.residual
    known = "kl" if objective.gap_is_kl else "gap"
    energy, error = measure.energy
    gap = measure.divergence
    if gap is None and objective.minimum is not None and not objective.gap_is_kl:
        gap = Estimate.of(energy - objective.minimum, error, 0.95)
    return {
        "step": measure.step,
        "step_size": measure.step_size,
        "effective_step_size": measure.effective,
        known: None if gap is None else gap.to_dict(),
        "energy": {"value": energy, "error": error, "label": "estimate"},
        "residual": None if best is None else {**best[1].to_dict(), "by": best[0]},
        "residuals": {name: value.to_dict() for name, value in measure.residuals.items()},
        "movement": measure.movement.to_dict(),
        "gradient": {**measure.fisher[1].to_dict(), "by": measure.fisher[0]},
        "inversion_error": measure.inversion,
        "transport": optimality,
        "bounds": {
            known: {} if bounds is None else {k: _entry(v) for k, v in bounds.kl.items()},
            "w2": {} if bounds is None else {k: _entry(v) for k, v in bounds.w2.items()},
        },
    }


def _entry(entry: Entry) -> dict[str, Any]:
    if entry.value is None:
        return {"value": None, "label": None, "reason": entry.reason}
    # All errors are measured here: one that came out as zero makes no bound exact.
    label = "bound given eps" if entry.label == "exact" else entry.label
    return {"value": entry.value, "label": label}


def _final(
    objective: Objective,
    measures: Sequence[StepMeasure],
    bounds: Sequence[StepBounds],
    convexity: float | None,
    certifier: Certifier,
) -> dict[str, Any]:
    """Return the best bounds after the last step, and what a wished accuracy asks for."""
    if not bounds:
        return {"w2": None, "kl" if objective.gap_is_kl else "gap": None}
    last, end = bounds[-1], measures[-1]
    found: dict[str, Any] = {
        "kl" if objective.gap_is_kl else "gap": _named_best(last, "kl"),
        "w2": _named_best(last, "w2"),
    }
    if objective.gap_is_kl and last.best_tv.value is not None:
        found["tv"] = _entry(last.best_tv)
    best = last.best_kl.value
    if convexity is None or convexity <= 0 or end.residual is None or best is None:
        return found
    eps = end.residual[1].high
    plan = steps_needed(certifier.wish, end.effective, eps, convexity, kl0=best)
    found["floor"] = {"value": plan.floor, "label": "bound given eps"}
    found["steps_needed"] = {
        "wish": certifier.wish,
        "steps": plan.steps,
        "residual_needed": error_needed(certifier.wish, convexity),
        "text": str(plan),
        "label": "bound given eps",
    }
    return found


def _named_best(bounds: StepBounds, of: str) -> dict[str, Any] | None:
    entries = bounds.kl if of == "kl" else bounds.w2
    known = {name: e for name, e in entries.items() if e.value is not None}
    if not known:
        return None
    name = min(known, key=lambda k: known[k].value or 0.0)
    return {**_entry(known[name]), "by": name}


_BY_FIELDS = {"critic", "affine", "record"}
"""Methods that see only what a class of test fields can."""


def _statement(
    objective: Objective,
    measures: Sequence[StepMeasure],
    bounds: Sequence[StepBounds],
    trips: dict[str, Any] | None,
    smoothing: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """Return the mixed statement (1.17) of the model that is sampled, in the data's units."""
    if not objective.gap_is_kl or trips is None or not bounds:
        return None
    best = bounds[-1].best_kl
    if best.value is None:
        return None
    cost = smoothing["w2_data_units"] if smoothing else 0.0
    mixed = mixed_statement(trips["data_units"]["high"], best.value, cost)
    # A class of test fields can miss most of an error, so its bound must not read as a fact.
    used = {measures[-1].fisher[0], *(m.residual[0] for m in measures if m.residual)}
    seen = bool(used & _BY_FIELDS)
    condition = "If the test fields see all of the first-order errors: " if seen else ""
    return {
        "w2": mixed.data_w2,
        "kl": mixed.kl,
        "tv": mixed.tv,
        "text": f"{condition}{mixed}",
        "conditional": seen,
        "label": "bound given eps" if best.label == "exact" else best.label,
    }


def _notes(measures: Sequence[StepMeasure], convexity: float | None, base: Base) -> list[str]:
    """Say what the bounds need, and what of it is estimated."""
    notes = [
        "Residuals, movements and moments are estimates from particles that nothing was trained "
        "on; their upper ends go into the bounds."
    ]
    methods = {m.residual[0] for m in measures if m.residual}
    if methods & _BY_FIELDS:
        notes.append(
            "eps by test fields is a lower bound of the true first-order error up to sampling "
            "error: what the fields cannot see is missing, and a bound given eps holds for the "
            "true one. Another model whose test NLL is lower by more than such a bound refutes it."
        )
    if convexity is None:
        notes.append("No bound is stated: the objective's geodesic convexity lambda is not known.")
    elif convexity <= 0:
        notes.append(
            f"lambda = {convexity:g} is not positive, so neither contraction nor a log-Sobolev "
            "constant is known; only what holds without them is stated."
        )
    else:
        notes.append(
            f"The bounds need lambda = {convexity:.4g} (geodesic convexity) and the true eps of "
            "each step with the optimal map; see the transport gap for how far a block is from it."
        )
    if base in ("other", "none"):
        notes.append(
            "The steps do not chain as proximal steps from the law before (the scheme is not jko), "
            "so bounds along the run are left out."
        )
    return notes
