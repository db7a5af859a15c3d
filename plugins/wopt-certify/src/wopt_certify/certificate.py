"""Making a certificate: measure every step, bound what follows, say it, mark what is refuted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from wopt.errors import UserError
from wopt.interfaces import SILENT, FlowBlock, Listener, Objective
from wopt.runs import Prepared
from wopt.seeds import derive
from wopt.store import GapKind
from wopt.train import Problem, StepRecord
from wopt_certify.analysis import LOCAL, Analysis
from wopt_certify.bounds import (
    Entry,
    Floor,
    Label,
    StepBounds,
    error_needed,
    least,
    steps_needed,
    tv,
)
from wopt_certify.effort import Effort
from wopt_certify.estimate import Estimate
from wopt_certify.gap import Gap, LowerSide
from wopt_certify.measure import StepMeasure, measure_step
from wopt_certify.options import Certify
from wopt_certify.replay import EvaluationData, RoundTrip, replay, round_trips
from wopt_certify.results import Certificate, Final, NamedBound, Statement, StepsWished
from wopt_certify.start import Smoothing, Start, smoothing_part


def gap_of(found: Analysis) -> Gap:
    """Return the headline of a run."""
    convexity, _ = found.constants
    return Gap.between(
        found.of,
        found.bounds[-1].gap,
        needs="" if convexity is None else f"lambda = {convexity:.4g}, as declared",
        lower=found.lower,
        known=found.gaps[-1],
        level=found.level,
    )


def final_of(found: Analysis, target_kl: float, estimate: float | None = None) -> Final:
    """Return the best bounds after the last step, and the steps that a wished gap needs."""
    last, end, convexity = found.bounds[-1], found.measures[-1].step, found.constants[0]
    tv = last.best_tv
    final = Final(
        gap=_best(last.gap),
        w2=_best(last.w2),
        tv=tv if found.of.in_nats and tv.value is not None else None,
    )
    if final.gap is None or end.residual is None or convexity is None or convexity <= 0:
        return final
    of = found.of.short
    plan = steps_needed(
        target_kl, end.effective_step_size, end.residual.high, convexity, kl0=final.gap.value, of=of
    )
    label = Label.GIVEN_SEEN if end.residual.by_fields else Label.GIVEN_EPS
    steps, text = plan.steps, str(plan)
    if steps == 0 and estimate is not None and estimate > target_kl:
        steps = None
        text = f"{of} <= {target_kl:.4g} would follow, but {estimate:.4g} were found"
    wished = StepsWished(target_kl, steps, error_needed(target_kl, convexity), text, label)
    return dataclasses.replace(final, floor=plan.floor, steps_needed=wished)


def _best(table: Mapping[str, Entry]) -> NamedBound | None:
    """Return the smallest bound that nothing refutes."""
    best = least(table)
    return best and NamedBound(best[1], table[best[0]].label or Label.GIVEN_EPS, best[0])


def statement_of(gap: Gap, trips: RoundTrip | None, smoothing: Smoothing | None) -> Statement:
    """Return the statement for the sampled law, whose inverses are inexact.

    Let F be the flow from data p to noise and S the computed reverse: the model is S_# q. Whatever
    S is, for p' = S_# F_# p, without a Lipschitz constant (docs/theory (1.17)),

        W_2(p, p') <= (E_p |S(F(x)) - x|^2)^1/2,    KL(p'|S_# q) <= KL(F_# p|q).
    """
    if not gap.of.in_nats or trips is None:
        return Statement(gap.text)
    cost, kl = smoothing.w2_data_units if smoothing else 0.0, gap.upper
    total = None if kl is None else float(tv(kl))
    return Statement(text=gap.text, kl=kl, w2=trips.data_units.high + cost, tv=total)


def notes_of(found: Analysis) -> tuple[str, ...]:
    """Return the notes: the assumptions of the bounds, false claims and parts left out."""
    objective, (convexity, _) = found.objective, found.constants
    notes = [*_impossible(objective, found.gaps), *found.evidence.remarks]
    notes.append(
        "Residuals, movements and moments are estimates from particles that nothing was trained "
        "on; their upper ends go into the bounds."
    )
    if any(m.step.residual is not None and m.step.residual.by_fields for m in found.measures):
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


_TRIP_ROWS = 2000
"""Rows of a round trip, at most."""


def make_certificate(
    problem: Problem,
    blocks: Sequence[FlowBlock],
    records: Sequence[StepRecord],
    evidence: EvaluationData,
    options: Certify,
    *,
    effort: Effort | None = None,
    lower: LowerSide | None = None,
    listener: Listener = SILENT,
) -> Certificate:
    """Measure a run and return the content of ``certificate.json``.

    Args:
        effort: The amount of work; by default all that the options allow.
        lower: The challengers' lower side, if challengers were run.
    """
    if not blocks:
        raise UserError("there is nothing to certify: the run has no finished step")
    effort, objective, level = effort or Effort.full(options), problem.objective, options.level
    measures = _measure(problem, blocks, records, evidence, options, effort, listener)
    found = Analysis(objective, evidence, level, measures, lower)
    convexity, smoothness = found.constants
    gap, smoothing = gap_of(found), smoothing_part(evidence)
    rows = min(effort.particles, _TRIP_ROWS)
    trips = round_trips(blocks, objective.target, evidence, level, rows)
    return Certificate(
        gap=gap,
        resolution=(),
        particles=len(evidence.particles),
        origin=evidence.origin,
        level=level,
        convexity=convexity,
        smoothness=smoothness,
        base=found.base,
        effort=effort,
        start=found.start,
        steps=found.steps,
        final=final_of(found, options.target_kl, gap.estimate),
        round_trip=trips,
        smoothing=smoothing,
        statement=statement_of(gap, trips, smoothing),
        notes=notes_of(found),
        challengers=lower,
    ).changed()


def without_steps(prepared: Prepared, lower: LowerSide | None, options: Certify) -> Certificate:
    """Return the certificate of a run whose steps could not be measured."""
    kind = GapKind.of_model(prepared.pushes)
    gap = Gap.between(kind, {}, lower=lower, level=options.level)
    return Certificate(
        gap=gap, resolution=(), particles=0, origin="", level=options.level, convexity=None,
        smoothness=None, base="none", effort=Effort(0, 0, 0), start=Start(), steps=(),
        final=Final(), round_trip=None, smoothing=None, statement=Statement(gap.text), notes=(),
        challengers=lower,
    )  # fmt: skip


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
        critic = options.of_critic(effort.iterations, seed)
        examined = not effort.last_only or len(measures) == len(blocks) - 1
        rows = options.transport_rows if effort.plans else 0
        step, score = measure_step(problem, passage, critic, score, rows, examined=examined)
        measures.append(step)
        listener.work("certifying, step by step", len(measures), len(blocks))
    return measures
