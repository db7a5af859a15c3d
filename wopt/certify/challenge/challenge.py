"""The lower side of a certificate: challengers judged on rows that nothing was fitted to."""

from __future__ import annotations

import dataclasses
import time

from torch import Tensor

from wopt.certify import lower
from wopt.certify.challenge.challenger import ratios
from wopt.certify.challenge.ladder import Options, Rung, climb
from wopt.certify.challenge.limit import Bet, error_of_mean, lower_limit
from wopt.certify.challenge.rows import Rows
from wopt.certify.challenge.sequence import judge_in_turn
from wopt.certify.estimate import Estimate
from wopt.certify.lower import LowerSide
from wopt.component import Spec, build
from wopt.errors import DataError, PluginError
from wopt.host import host
from wopt.interfaces.target import Target

__all__ = ["best_estimate", "block_for", "challenge"]

_LEAST_ROWS = 20


def challenge(
    target: Target,
    fit: Rows,
    hold: Rows,
    judge: Rows,
    options: Options,
    groups: tuple[Tensor, Tensor] | None = None,
) -> LowerSide:
    """Bound KL(p | model) from below, without an assumption on p.

    For any normalised density r,  KL(p | model) >= E_p[log r - log model].  Challengers r_k are
    fitted on ``fit``, mixed with the model on ``hold``, and the mixture is judged once on
    ``judge``. The limit holds at the level for every n (see :func:`lower_limit`), if the rows of
    ``judge`` (or their groups) are independent draws of p that the model has not seen either.

    Args:
        target: q, normalised.
        fit, hold, judge: Disjoint rows.
        options: How hard to try.
        groups: Of rows that may depend on each other: a number for each row of ``hold`` and one
            for each of ``judge``.

    Raises:
        DataError: There are too few rows to judge or to choose on.
        CapabilityError: A challenger cannot be made.

    Example:
        >>> import torch
        >>> from wopt.particles import Particles
        >>> from wopt.testing import GaussianTarget
        >>> q = GaussianTarget([0.0], [[1.0]])
        >>> draw = torch.Generator().manual_seed(0)
        >>> parts = [Particles.start(1 + torch.randn(2000, 1, generator=draw).double())
        ...     for _ in range(3)]  # the model N(0, 1) of N(1, 1) has KL 1/2
        >>> rows = [Rows.of(q, p.points, p) for p in parts]
        >>> found = challenge(q, *rows, Options(None))
        >>> 0.4 < found.low < 0.5 < found.low + 5 * found.error
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
    rungs = list(climb(target, fit, hold, options))
    if not rungs:
        raise DataError("no challenger takes part: name a block, or allow the closed forms")
    last = rungs[-1]
    chosen = last.stack.ratio(ratios(last.challengers, hold))
    chosen_groups = None if groups is None else groups[0][kept]
    judge_groups = None if groups is None else groups[1]
    logs = ratios(last.challengers, judge)
    begun = time.process_time()
    judged = judge_in_turn(
        last.challengers, last.stack, (fit, hold), judge, judge_groups, options.seed
    )
    values = judged.values
    bet = Bet.on(chosen, judged.floor, chosen_groups)
    end = lower.Rung(
        "learning while judged",
        last.seconds + time.process_time() - begun,
        float(values.mean()),
        error_of_mean(values, judge_groups),
    )
    return LowerSide(
        value=end.gain,
        error=end.error,
        low=lower_limit(values, bet, options.level, judge_groups),
        level=options.level,
        by=judged.by,
        rows=len(judge),
        ladder=(*(_judged(rung, logs, judge_groups) for rung in rungs), end),
    )


def _judged(rung: Rung, logs: Tensor, groups: Tensor | None) -> lower.Rung:
    """Return what a rung's own mixture gains on the rows that judge (its columns come first)."""
    values = rung.stack.ratio(logs[:, : len(rung.challengers)])
    return lower.Rung(rung.name, rung.seconds, float(values.mean()), error_of_mean(values, groups))


def best_estimate(side: LowerSide) -> Estimate:
    """Return what KL may be, from how the ladder's gains grow with effort: an estimate, no bound.

    Each rung doubles the effort. If the last one gained D more than the one before, and every
    further rung were to gain half of its predecessor's, the limit would be D above the last.

    Example:
        >>> side = LowerSide(0.3, 0.01, 0.28, 0.95, "", 1000,
        ...     (lower.Rung("a", 1.0, 0.2, 0.01), lower.Rung("b", 3.0, 0.3, 0.01)))
        >>> round(best_estimate(side).value, 3)
        0.4
    """
    gains = [rung.gain for rung in side.ladder]
    growth = max(gains[-1] - gains[-2], 0.0) if len(gains) > 1 else 0.0
    growth = min(growth, max(side.value, 0.0))
    found = Estimate.of(side.value + growth, (side.error**2 + (growth / 2) ** 2) ** 0.5, side.level)
    return dataclasses.replace(found, low=max(found.low, side.low))


def block_for(preferred: tuple[str, ...] = ("autoregressive", "spline", "ode")) -> Spec | None:
    """Return the first of these blocks that is installed, by default ``autoregressive``.

    ``None`` if there is none: then only closed forms challenge.

    Example:
        >>> block_for().cls.__name__
        'Autoregressive'
    """
    for name in preferred:
        try:
            host().registry.find("block", name)
        except PluginError:
            continue
        found: Spec = build("block", name)
        return found
    return None
