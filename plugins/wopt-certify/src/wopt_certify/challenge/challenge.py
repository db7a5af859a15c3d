"""The lower side of a certificate: challengers evaluated on rows that nothing was fitted to."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from wopt.component import Spec, build
from wopt.errors import DataError, PluginError
from wopt.host import host
from wopt.interfaces import Target
from wopt.statistics import error_of_mean
from wopt_certify import lower
from wopt_certify.challenge.escalation import EscalationOptions, EscalationState, escalate
from wopt_certify.challenge.judge import Bet, SequentialGain, judge_in_turn, lower_limit
from wopt_certify.challenge.plan import planned
from wopt_certify.challenge.rows import ChallengeRows, ratios
from wopt_certify.lower import ChallengePlan, LowerSide

__all__ = ["block_for", "challenge"]

_LEAST_ROWS = 20


def challenge(
    target: Target,
    fit: ChallengeRows,
    hold: ChallengeRows,
    judge: ChallengeRows,
    options: EscalationOptions,
    groups: tuple[Tensor, Tensor] | None = None,
) -> LowerSide:
    """Bound KL(p | model) from below, without an assumption on p.

    For any normalised density r,  KL(p | model) >= E_p[log r - log model].  Challengers r_k are
    fitted on ``fit`` and mixed with the model on ``hold``, and the mixture is evaluated on
    ``judge``, where those in closed form continue to learn from rows already evaluated
    (:func:`judge_in_turn`). The limit holds at the level for every n (see :func:`lower_limit`), if
    the rows of ``judge`` (or their groups) are independent draws of p that the model has not seen
    either.

    Args:
        target: q, normalised.
        fit, hold, judge: Disjoint rows.
        options: Options of the challenge.
        groups: Group numbers of rows that may depend on each other, for ``hold`` and for
            ``judge``, shape ``(n,)`` each.

    Returns:
        The lower side, in nats.

    Raises:
        DataError: There are too few rows to evaluate or to choose on.
        CapabilityError: A challenger cannot be made.

    Example:
        >>> import torch
        >>> from wopt.particles import Particles
        >>> from wopt.testing import GaussianTarget
        >>> q = GaussianTarget([0.0], [[1.0]])
        >>> rng = torch.Generator().manual_seed(0)
        >>> parts = [Particles.start(1 + torch.randn(2000, 1, generator=rng).double())
        ...     for _ in range(3)]  # the model N(0, 1) of N(1, 1) has KL 1/2
        >>> rows = [ChallengeRows.of(q, p.points, p) for p in parts]
        >>> side = challenge(q, *rows, EscalationOptions(None))
        >>> 0.4 < side.low < 0.5 < side.low + 5 * side.error
        True
    """
    for name, rows in (("chosen", hold), ("judged", judge)):
        if len(rows) < _LEAST_ROWS:
            raise DataError(
                f"a challenge is {name} on at least {_LEAST_ROWS} rows and there are {len(rows)}: "
                "give the test and validation splits more rows"
            )
    fit, kept = fit.part(fit.finite()), hold.finite()
    hold = hold.part(kept)
    tries = planned(target, fit, hold, len(judge), options)
    rungs = list(escalate(target, fit, hold, options, tries))
    if not rungs:
        raise DataError("no challenger takes part: name a block, or allow the closed forms")
    hold_groups = None if groups is None else groups[0][kept]
    judge_groups = None if groups is None else groups[1]
    last, logs = rungs[-1], ratios(rungs[-1].challengers, judge)
    judged = _judge(last, (fit, hold, judge), logs, options.seed, tries, judge_groups)
    escalation = [_rung(rung, logs, judge_groups) for rung in rungs]
    if judged.seconds is not None:
        gain = float(judged.values.mean()), error_of_mean(judged.values, judge_groups)
        escalation.append(
            lower.EscalationStep("learning while judged", last.seconds + judged.seconds, *gain)
        )
    bet = Bet.on(last.stack.ratio(ratios(last.challengers, hold)), judged.floor, hold_groups)
    return LowerSide(
        value=escalation[-1].gain,
        error=escalation[-1].error,
        low=lower_limit(judged.values, bet, options.level, judge_groups),
        level=options.level,
        by=judged.by,
        rows=len(judge),
        escalation=tuple(escalation),
        tries=dataclasses.replace(last.tries, refits=judged.refits),
    )


def _judge(
    last: EscalationState,
    rows: tuple[ChallengeRows, ChallengeRows, ChallengeRows],
    logs: Tensor,
    seed: int,
    tries: ChallengePlan,
    groups: Tensor | None,
) -> SequentialGain:
    """Evaluate the last rung's mixture, which learns meanwhile if a challenger can."""
    if all(challenger.refit is None for challenger in last.challengers):
        return SequentialGain(last.stack.ratio(logs), last.stack.least, last.stack.by())
    fit, hold, judge = rows
    return judge_in_turn(
        last.challengers, last.stack, (fit, hold), judge, groups, seed, tries.refits
    )


def _rung(rung: EscalationState, logs: Tensor, groups: Tensor | None) -> lower.EscalationStep:
    """Return the gain of a rung's own mixture on the evaluation rows (its columns come first)."""
    values = rung.stack.ratio(logs[:, : len(rung.challengers)])
    return lower.EscalationStep(
        rung.name, rung.seconds, float(values.mean()), error_of_mean(values, groups)
    )


def block_for(preferred: tuple[str, ...] = ("autoregressive", "spline", "ode")) -> Spec | None:
    """Return the first of these blocks that is installed, by default ``autoregressive``.

    Return ``None`` if there is none: then only closed forms challenge.

    Example:
        >>> block_for().cls.__name__
        'Autoregressive'
    """
    for name in preferred:
        try:
            host().registry.find("block", name)
        except PluginError:
            continue
        spec: Spec = build("block", name)
        return spec
    return None
