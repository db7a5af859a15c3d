"""Making a certificate: measure every step, derive bounds, mark those that facts refute."""

from __future__ import annotations

from collections.abc import Sequence

from wopt.errors import UserError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener
from wopt.seeds import derive
from wopt.train.problem import Problem
from wopt.train.record import StepRecord
from wopt_certify.analysis import findings
from wopt_certify.effort import Effort, trip_rows
from wopt_certify.evaluation_data import EvaluationData
from wopt_certify.headline import final_of, gap_of, statement_of
from wopt_certify.inverse import round_trips
from wopt_certify.lower import LowerSide
from wopt_certify.measure import StepMeasure, measure_step
from wopt_certify.notes import notes_of
from wopt_certify.options import Certify
from wopt_certify.replay import replay
from wopt_certify.resolution import Resolution
from wopt_certify.results import Certificate
from wopt_certify.start import smoothing_part

__all__ = ["make_certificate"]


def make_certificate(
    problem: Problem,
    blocks: Sequence[FlowBlock],
    records: Sequence[StepRecord],
    evidence: EvaluationData,
    options: Certify,
    *,
    effort: Effort | None = None,
    lower: LowerSide | None = None,
    resolution: Sequence[Resolution] = (),
    listener: Listener = SILENT,
) -> Certificate:
    """Measure a run and return the content of ``certificate.json``.

    Args:
        problem: The problem: objective, scheme, solver.
        blocks: The maps of the run.
        records: One record per map.
        evidence: The particles on which the run is measured.
        options: The options of the certificate.
        effort: The amount of work; by default all that the options allow.
        lower: The challengers' lower side, if challengers were run.
        resolution: Both sides at resolutions, if they were measured.
        listener: Listener that is called as the work proceeds.

    Raises:
        UserError: The run has no steps.
    """
    if not blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    effort, objective, level = effort or Effort.full(options), problem.objective, options.level
    measures = _measure(problem, blocks, records, evidence, options, effort, listener)
    found = findings(objective, evidence, measures, lower, level)
    gap, smoothing = gap_of(found, effort.sufficient), smoothing_part(evidence)
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
        steps=found.steps,
        final=final_of(found, options.target_kl, gap.estimate),
        round_trip=trips,
        smoothing=smoothing,
        statement=statement_of(found, gap, trips, smoothing),
        notes=notes_of(found),
        challengers=lower,
    ).changed()


def _measure(
    problem: Problem,
    blocks: Sequence[FlowBlock],
    records: Sequence[StepRecord],
    evidence: EvaluationData,
    options: Certify,
    effort: Effort,
    listener: Listener,
) -> list[StepMeasure]:
    """Carry the particles through the run, and measure each step on the way."""
    score, measures = evidence.score, list[StepMeasure]()
    listener.work("certifying, step by step", 0, len(blocks))
    for passage in replay(problem, blocks, records, evidence.particles):
        seed = derive(problem.seed, "certify", passage.record.step)
        critic = options.of_critic(effort.iterations, seed, effort.rungs)
        examined = not effort.last_only or len(measures) == len(blocks) - 1
        rows = options.transport_rows if effort.plans else 0
        step, score = measure_step(problem, passage, critic, score, rows, examined=examined)
        measures.append(step)
        listener.work("certifying, step by step", len(measures), len(blocks))
    return measures
