"""Making a certificate: measure every step, bound what follows, mark what facts refute."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor

from wopt.certify.bounds import Base, StepBounds, chain
from wopt.certify.effort import Effort, trip_rows
from wopt.certify.estimate import Estimate
from wopt.certify.evidence import Evidence
from wopt.certify.gap import Resolution, estimate_floor, floor_of
from wopt.certify.headline import BY_FIELDS, final_of, gap_of, statement_of
from wopt.certify.hypothesis import why_not_optimal
from wopt.certify.inverse import round_trips
from wopt.certify.lower import LowerSide
from wopt.certify.measure import StepMeasure, measure_step
from wopt.certify.notes import notes_of
from wopt.certify.optimality import optimality_part
from wopt.certify.options import CertifyOptions
from wopt.certify.refute import later_fall, refute
from wopt.certify.replay import replay
from wopt.certify.results import (
    Bounds,
    Certificate,
    Energy,
    MethodEstimate,
    Optimality,
    StepCertificate,
    entries,
)
from wopt.certify.start import Start, smoothing_part, start_of_run
from wopt.errors import UserError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.seeds import derive
from wopt.train.problem import Problem
from wopt.train.record import StepRecord

__all__ = ["make_certificate"]


@dataclasses.dataclass(frozen=True)
class _Measured:
    """What is measured of one step.

    Attributes:
        of: The step.
        optimality: Whether its block is the optimal map.
        not_optimal: Why it is not.
        second: E|x|^2 after it.
        contributions: Of each particle to the energy.
    """

    of: StepMeasure
    optimality: Optimality | None
    not_optimal: str
    second: float
    contributions: Tensor | None


def make_certificate(
    problem: Problem,
    blocks: Sequence[FlowBlock],
    records: Sequence[StepRecord],
    evidence: Evidence,
    options: CertifyOptions,
    *,
    effort: Effort | None = None,
    lower: LowerSide | None = None,
    resolution: Sequence[Resolution] = (),
    listener: Listener | None = None,
) -> Certificate:
    """Measure a run and return what ``certificate.json`` holds.

    Args:
        problem: What was minimised and how.
        blocks: Its maps.
        records: A record a map.
        evidence: What to measure it on.
        options: How it is measured.
        effort: With how much; by default all that the options say.
        lower: The challengers' lower side, where some were run.
        resolution: Both sides at resolutions, where they were measured.
        listener: Told of the work.

    Raises:
        UserError: The run has no steps.
    """
    if not blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    effort, objective, level = effort or Effort.full(options), problem.objective, options.level
    measured = _measure(problem, blocks, records, evidence, options, effort, listener)
    about = _about(objective, evidence, measured, level)
    bounds = _refuted(measured, about, _bounds(measured, about, evidence), lower, level)
    measures, convexity = [m.of for m in measured], about.convexity
    gap = gap_of(objective, evidence, measures, bounds, about.gaps[-1], lower, convexity, level)
    trips = round_trips(blocks, objective.target, evidence, level, trip_rows(effort.particles))
    smoothing = smoothing_part(evidence)
    return Certificate(
        of="KL(p_n | q)" if objective.gap_is_kl else "G(p_n) - min G",
        gap=gap,
        resolution=tuple(resolution),
        particles=len(evidence.particles),
        origin=evidence.origin,
        level=level,
        convexity=convexity,
        smoothness=about.smoothness,
        base=about.base,
        effort=effort,
        start=about.start,
        steps=_steps(measured, about, bounds),
        final=final_of(objective, measures, bounds, convexity, options.wish, gap.estimate),
        round_trip=trips,
        smoothing=smoothing,
        statement=statement_of(gap, measures, bounds, trips, smoothing),
        notes=notes_of(objective, evidence, measures, about.gaps, bounds, convexity, about.base),
        challengers=lower,
    )


@dataclasses.dataclass(frozen=True)
class _About:
    """What bounds are made of, besides what is measured of the steps.

    Attributes:
        gaps: After each step, where it is known.
        start: Bounds before the first step.
        base: Where the proximal steps begin.
        convexity, smoothness: lambda and L.
    """

    gaps: list[Estimate | None]
    start: Start
    base: Base
    convexity: float | None
    smoothness: float | None


def _about(
    objective: Objective, evidence: Evidence, measured: Sequence[_Measured], level: float
) -> _About:
    measures = [m.of for m in measured]
    gaps = [_known(objective, m, level) for m in measures]
    start = start_of_run(objective, evidence)
    base = _common_base(measures)
    constants = _constants(objective, base)
    if any(gap is not None and gap.impossible for gap in gaps):
        start = dataclasses.replace(start, kl=None)  # it was found with the same false density
        if not objective.gap_is_kl:  # who declares a false minimum may declare a false lambda too
            constants = None, None
    return _About(gaps, start, base, *constants)


def _measure(
    problem: Problem,
    blocks: Sequence[FlowBlock],
    records: Sequence[StepRecord],
    evidence: Evidence,
    options: CertifyOptions,
    effort: Effort,
    listener: Listener | None,
) -> list[_Measured]:
    """Carry the particles through the run, and measure each step on the way."""
    score, measured = evidence.score, list[_Measured]()
    told = listener or Listener()
    told.work("certifying, step by step", 0, len(blocks))
    for passage in replay(problem, blocks, records, evidence.particles):
        seed = derive(problem.seed, "certify", passage.record.step)
        critic = options.of_critic(effort.iterations, seed, effort.rungs)
        examined = not effort.last_only or len(measured) == len(blocks) - 1
        measure, score = measure_step(problem, passage, critic, score, examined=examined)
        residual = measure.residual[1] if measure.residual else None
        rows = 0 if effort.last_only else options.transport_rows
        part = optimality_part(passage, residual, measure.effective, rows, options.level, seed)
        measured.append(
            _Measured(
                measure,
                None if part is None else Optimality.from_dict(part),
                why_not_optimal(problem.objective, passage),
                _second_moment(passage.after),
                _contributions(problem.objective, passage.after),
            )
        )
        told.work("certifying, step by step", len(measured), len(blocks))
    return measured


def _contributions(objective: Objective, at: Particles) -> Tensor | None:
    return None if at.weights is not None else objective.contributions(at)


def _second_moment(at: Particles) -> float:
    moved = at.points[:, : at.dim - at.condition].double()
    weights = None if at.weights is None else at.weights.double()
    return float(Particles(moved, weights).mean(moved.square().sum(1)))


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


def _known(objective: Objective, measure: StepMeasure, level: float) -> Estimate | None:
    """Return the gap itself after a step, where it is known."""
    if objective.gap_is_kl or objective.minimum is None:
        return measure.divergence
    energy, error = measure.energy
    return Estimate.of(energy - objective.minimum, error, level)


def _bounds(measured: Sequence[_Measured], about: _About, evidence: Evidence) -> list[StepBounds]:
    """Return all bounds; the upper ends of the intervals go into them."""
    if about.convexity is None:
        return []
    measures = [m.of for m in measured]
    second = _second_moment(evidence.particles)
    return chain(
        [m.effective for m in measures],
        [m.residual[1].high if m.residual and m.examined else None for m in measures],
        about.convexity,
        moved=[m.movement.high for m in measures],
        w0=about.start.w2,
        kl0=about.start.kl,
        second_moments=[second, *(m.second for m in measured)],
        target_second_moment=about.start.second_moment,
        fisher=[m.fisher[1].high ** 2 if m.examined else None for m in measures],
        base=about.base,
        smoothness=about.smoothness,
        measured=("fisher", "second_moments"),
        not_optimal=[m.not_optimal for m in measured],
        seen={
            m.step
            for m in measures
            if {m.fisher[0], *([m.residual[0]] if m.residual else [])} & BY_FIELDS
        },
    )


def _refuted(
    measured: Sequence[_Measured],
    about: _About,
    bounds: Sequence[StepBounds],
    lower: LowerSide | None,
    level: float,
) -> list[StepBounds]:
    """Return the bounds, marked where a later fall, a lower side or the estimate contradicts."""
    if about.convexity is None:
        return list(bounds)
    end = measured[-1].contributions
    floors = [
        [later_fall(m.contributions, end, level), floor_of(None, gap)]
        for m, gap in zip(measured, about.gaps, strict=True)
    ]
    end_gap = about.gaps[-1]
    floors[-1] = [floor_of(lower, end_gap), estimate_floor(lower, end_gap)]
    return refute(bounds, floors, about.convexity)


def _steps(
    measured: Sequence[_Measured], about: _About, bounds: Sequence[StepBounds]
) -> tuple[StepCertificate, ...]:
    return tuple(
        _step(m, about.gaps[k], bounds[k] if bounds else None) for k, m in enumerate(measured)
    )


def _step(measured: _Measured, gap: Estimate | None, bounds: StepBounds | None) -> StepCertificate:
    measure = measured.of
    best = measure.residual
    return StepCertificate(
        step=measure.step,
        step_size=measure.step_size,
        effective_step_size=measure.effective,
        gap=gap,
        energy=Energy(*measure.energy),
        residual=None if best is None else MethodEstimate.by_method(*best),
        residuals={str(name): value for name, value in measure.residuals.items()},
        movement=measure.movement,
        gradient=MethodEstimate.by_method(*measure.fisher),
        seen=measure.seen,
        inversion_error=measure.inversion,
        transport=measured.optimality,
        not_optimal=measured.not_optimal,
        bounds=Bounds()
        if bounds is None
        else Bounds(gap=entries(bounds.gap), w2=entries(bounds.w2)),
    )
