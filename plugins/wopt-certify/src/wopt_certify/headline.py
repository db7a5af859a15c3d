"""The headline of a certificate: the gap with its sides, the best bounds, the statement."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from wopt_certify.analysis import Analysis
from wopt_certify.bounds import Entry, Label, error_needed, least, steps_needed, tv
from wopt_certify.gap import Gap
from wopt_certify.inverse import RoundTrip
from wopt_certify.results import Final, NamedBound, Statement, StepsWished
from wopt_certify.start import Smoothing

__all__ = ["final_of", "gap_of", "statement_of"]


def gap_of(found: Analysis, sufficient: bool = True) -> Gap:
    """Return the headline of a run.

    Args:
        found: The analysis of the run.
        sufficient: Whether critics had enough iterations for their upper bounds to be stated.
    """
    last = found.bounds[-1].gap
    if not sufficient:
        last = {name: e for name, e in last.items() if e.label != Label.GIVEN_SEEN or e.refuted}
    best = least(last)
    return Gap.between(
        found.of,
        last,
        needs="" if best is None else _needs(best[0], found),
        lower=found.lower,
        known=found.gaps[-1],
        level=found.level,
        hidden=len(last) < len(found.bounds[-1].gap),
    )


def _needs(name: str, found: Analysis) -> str:
    """Return the assumptions of an upper bound, besides its theorem's other conditions."""
    # Theorem Q uses the last step alone, and log-Sobolev the gradient after it.
    looked = [m.step.residual for m in found.measures[-1 if name == "theorem_q" else 0 :]]
    if name == "log_sobolev":
        looked = [found.measures[-1].step.gradient]
    if any(one.by_fields for one in looked if one is not None):
        return "every first-order error were as small as the largest seen"
    return f"lambda = {found.convexity:.4g} holds, as it is declared"


def final_of(found: Analysis, target_kl: float, estimate: float | None = None) -> Final:
    """Return the best bounds after the last step, and the steps that a wished gap needs.

    Args:
        found: The analysis of the run.
        target_kl: The wished gap.
        estimate: The best estimate of the gap, where there is one.
    """
    last, end, convexity = found.bounds[-1], found.measures[-1].step, found.convexity
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
        text = f"{of} <= {target_kl:.4g} would follow, but the best estimate is {estimate:.4g}"
    wished = StepsWished(target_kl, steps, error_needed(target_kl, convexity), text, label)
    return dataclasses.replace(final, floor=plan.floor, steps_needed=wished)


def _best(table: Mapping[str, Entry]) -> NamedBound | None:
    """Return the smallest bound that nothing refutes."""
    best = least(table)
    if best is None:
        return None
    name, value = best
    return NamedBound(value, table[name].label or Label.GIVEN_EPS, name)


def statement_of(
    found: Analysis, gap: Gap, trips: RoundTrip | None, smoothing: Smoothing | None
) -> Statement:
    """Return the statement for the sampled law, whose inverses are inexact.

    Let F be the flow from data p to noise and S the computed reverse: the model is S_# q. Whatever
    S is, for p' = S_# F_# p, without a Lipschitz constant (docs/theory.md (1.17)),

        W_2(p, p') <= (E_p |S(F(x)) - x|^2)^1/2,    KL(p'|S_# q) <= KL(F_# p|q).

    Args:
        found: The analysis of the run.
        gap: The headline.
        trips: Round trips of the inverse.
        smoothing: Smoothing of the data.
    """
    best = found.bounds[-1].best_gap
    if not gap.of.in_nats or trips is None or best.value is None:
        return Statement(gap.text)
    cost = smoothing.w2_data_units if smoothing else 0.0
    used = [found.measures[-1].step.gradient, *(m.step.residual for m in found.measures)]
    return Statement(
        text=gap.text,
        kl=best.value,
        w2=trips.data_units.high + cost,
        tv=float(tv(best.value)),
        conditional=any(one.by_fields for one in used if one is not None),
        label=best.label,
    )
