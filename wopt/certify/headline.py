"""What a certificate says first: the gap with its sides, the best bounds, the statement."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from wopt.certify.bounds import (
    Entry,
    StepBounds,
    error_needed,
    mixed_statement,
    steps_needed,
)
from wopt.certify.estimate import Estimate
from wopt.certify.evidence import Evidence
from wopt.certify.gap import Gap, NamedBound, Refuted, assemble
from wopt.certify.inverse import RoundTrip
from wopt.certify.lower import LowerSide
from wopt.certify.measure import StepMeasure
from wopt.certify.results import Final, Statement, StepsWished, entries
from wopt.certify.start import Smoothing
from wopt.interfaces.objective import Objective

__all__ = ["BY_FIELDS", "final_of", "gap_of", "statement_of"]

BY_FIELDS = frozenset({"critic", "affine", "record"})
"""Methods that see only what a class of test fields can."""

_LOCAL = ("theorem_q", "log_sobolev")
"""Bounds that look at the last step alone."""


def gap_of(
    objective: Objective,
    evidence: Evidence,
    measures: Sequence[StepMeasure],
    bounds: Sequence[StepBounds],
    known: Estimate | None,
    lower: LowerSide | None,
    convexity: float | None,
    level: float,
) -> Gap:
    """Return the headline of a run.

    Args:
        objective: What was minimised.
        evidence: The particles, and which way the model looks.
        measures: Of each step.
        bounds: After each step, those refuted marked so; none where lambda is not known.
        known: The gap after the last step, where it is known.
        lower: The challengers' side.
        convexity: lambda.
        level: Confidence of ``known``.
    """
    of = evidence.of if objective.gap_is_kl else "G(p_N) - min G"
    last = entries(bounds[-1].gap) if bounds else {}
    upper = [
        NamedBound(e.value, e.label or "", name, _needs(name, measures, convexity))
        for name, e in last.items()
        if e.value is not None and e.stands
    ]
    refuted = [
        Refuted(name, e.value, e.refuted)
        for name, e in last.items()
        if e.value is not None and e.refuted
    ]
    # A lower side is one of KL: it says nothing of another objective's gap.
    return assemble(
        of,
        upper,
        lower=lower if objective.gap_is_kl else None,
        known=known,
        refuted=refuted,
        level=level,
    )


def _needs(name: str, measures: Sequence[StepMeasure], convexity: float | None) -> str:
    """Say what a bound from above needs, besides its theorem's other conditions."""
    looked = measures[-1:] if name in _LOCAL else measures
    methods = {m.residual[0] for m in looked if m.residual and name != "log_sobolev"}
    if name == "log_sobolev":
        methods = {measures[-1].fisher[0]}
    if methods & BY_FIELDS:
        return "every first-order error were as small as the largest seen"
    return f"lambda = {convexity:.4g} holds, as it is declared"


def final_of(
    objective: Objective,
    measures: Sequence[StepMeasure],
    bounds: Sequence[StepBounds],
    convexity: float | None,
    wish: float,
    estimate: float | None = None,
) -> Final:
    """Return the best bounds after the last step, and what a wished gap asks for.

    Args:
        objective: What was minimised.
        measures: Of each step.
        bounds: After each step.
        convexity: lambda.
        wish: The gap that is wished for.
        estimate: The best estimate of the gap, where there is one.
    """
    if not bounds:
        return Final()
    last, end = bounds[-1], measures[-1]
    tv = last.best_tv
    final = Final(
        gap=_best(last.gap),
        w2=_best(last.w2),
        tv=tv if objective.gap_is_kl and tv.value is not None else None,
    )
    if final.gap is None or end.residual is None or convexity is None or convexity <= 0:
        return final
    of = "KL" if objective.gap_is_kl else "G - min G"
    plan = steps_needed(
        wish, end.effective, end.residual[1].high, convexity, kl0=final.gap.value, of=of
    )
    label = "bound given the eps seen" if end.residual[0] in BY_FIELDS else "bound given eps"
    steps, text = plan.steps, str(plan)
    if steps == 0 and estimate is not None and estimate > wish:
        steps = None
        text = f"{of} <= {wish:.4g} would follow, but the best estimate is {estimate:.4g}"
    wished = StepsWished(wish, steps, error_needed(wish, convexity), text, label)
    return dataclasses.replace(final, floor=plan.floor, steps_needed=wished)


def _best(table: Mapping[str, Entry]) -> NamedBound | None:
    """Return the smallest bound that nothing refutes."""
    known = [
        NamedBound(e.value, e.label or "", name)
        for name, e in entries(table).items()
        if e.value is not None and e.stands
    ]
    return min(known, key=lambda bound: bound.value, default=None)


def statement_of(
    gap: Gap,
    measures: Sequence[StepMeasure],
    bounds: Sequence[StepBounds],
    trips: RoundTrip | None,
    smoothing: Smoothing | None,
) -> Statement:
    """Return the headline, and of what law it holds, inverses being inexact: (1.17).

    Args:
        gap: The headline.
        measures: Of each step.
        bounds: After each step.
        trips: Of the inverse.
        smoothing: Of the data.
    """
    if not gap.in_nats or trips is None or not bounds or gap.upper is None:
        return Statement(gap.text)
    best = min(
        (e for e in entries(bounds[-1].gap).values() if e.stands and e.value == gap.upper),
        key=lambda e: e.value or 0.0,
    )
    cost = smoothing.w2_data_units if smoothing else 0.0
    mixed = mixed_statement(trips.data_units.high, gap.upper, cost)
    used = {measures[-1].fisher[0], *(m.residual[0] for m in measures if m.residual)}
    near = ""
    if mixed.data_w2:
        near = f" Samples: that of a law within W2 <= {mixed.data_w2:.4g} of the data."
    return Statement(
        text=gap.text + near,
        kl=mixed.kl,
        w2=mixed.data_w2,
        tv=mixed.tv,
        conditional=bool(used & BY_FIELDS),
        label=best.label,
    )
