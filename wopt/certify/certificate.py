"""Making a certificate: measure every step, bound what follows, mark what facts refute."""

from __future__ import annotations

from collections.abc import Sequence

from wopt.certify.bounds import StepBounds
from wopt.certify.effort import Effort, trip_rows
from wopt.certify.estimate import Estimate
from wopt.certify.evidence import Evidence
from wopt.certify.findings import findings, measure
from wopt.certify.gap import Resolution
from wopt.certify.headline import final_of, gap_of, statement_of
from wopt.certify.inverse import round_trips
from wopt.certify.lower import LowerSide
from wopt.certify.measure import StepMeasure
from wopt.certify.notes import notes_of
from wopt.certify.options import CertifyOptions
from wopt.certify.results import Certificate, Energy, StepCertificate
from wopt.certify.start import smoothing_part
from wopt.errors import UserError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.train.problem import Problem
from wopt.train.record import StepRecord

__all__ = ["make_certificate"]


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
    measures = measure(problem, blocks, records, evidence, options, effort, listener)
    found = findings(objective, evidence, measures, lower, level)
    gap, smoothing = gap_of(found), smoothing_part(evidence)
    trips = round_trips(blocks, objective.target, evidence, level, trip_rows(effort.particles))
    return Certificate(
        gap=gap,
        resolution=tuple(resolution),
        particles=len(evidence.particles),
        origin=evidence.origin,
        level=level,
        convexity=found.convexity,
        smoothness=found.smoothness,
        base=found.base,
        effort=effort,
        start=found.start,
        steps=tuple(_step(*one) for one in zip(measures, found.gaps, found.bounds, strict=True)),
        final=final_of(found, options.wish, gap.estimate),
        round_trip=trips,
        smoothing=smoothing,
        statement=statement_of(found, gap, trips, smoothing),
        notes=notes_of(found),
        challengers=lower,
    ).changed()


def _step(measure: StepMeasure, gap: Estimate | None, bounds: StepBounds) -> StepCertificate:
    return StepCertificate(
        step=measure.step,
        step_size=measure.step_size,
        effective_step_size=measure.effective,
        gap=gap,
        energy=Energy(*measure.energy),
        residual=measure.residual,
        residuals={str(name): value for name, value in measure.residuals.items()},
        movement=measure.movement,
        gradient=measure.fisher,
        inversion_error=measure.inversion,
        transport=measure.optimality,
        not_optimal=measure.not_optimal,
        bounds=bounds,
    )
