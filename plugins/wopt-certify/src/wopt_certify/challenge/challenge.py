"""The lower side of a certificate: challengers evaluated on rows that nothing was fitted to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.component import build
from wopt.errors import DataError
from wopt.interfaces import Budget, Target
from wopt.seeds import derive
from wopt.statistics import error_of_mean, mean_and_error
from wopt_certify.challenge.challenger import FEW, Challenger, ChallengeRows, Density
from wopt_certify.challenge.densities import Shell, likeliest_mixture
from wopt_certify.challenge.free_step import free_step
from wopt_certify.challenge.judge import StackedRatio
from wopt_certify.challenge.tree import Tree
from wopt_certify.gap import EscalationStep, LowerSide

_LEAST_ROWS, _SECONDS = 20, 10.0

CLOSED = (
    Challenger("shells", lambda fit, hold, *_: Shell.best(fit, hold)),
    Challenger("Gaussians", lambda fit, hold, *_: likeliest_mixture(fit, hold).log_prob),
    Challenger(
        "turned tree", lambda fit, hold, seed, _: Tree.turned(fit, hold, seed),
        ("liu2011", "liu2009", "hyvarinen1999"), most=24,
    ),
)  # fmt: skip
"""Challengers in closed form, in order: those that find much in little time come first."""


def challengers_for(target: Target, condition: int = 0) -> tuple[Challenger, ...]:
    """Return the challengers in order, where so many last coordinates are conditions."""
    return *CLOSED, free_step(build("block", "autoregressive"), target, condition)


def challenge(
    fit: ChallengeRows,
    hold: ChallengeRows,
    judge: ChallengeRows,
    challengers: Sequence[Challenger],
    *,
    budget: Budget | None = None,
    recorded: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    groups: tuple[Tensor, Tensor] | None = None,
) -> LowerSide:
    """Bound KL(p | model) from below, without an assumption on p.

    For any normalised density r,  KL(p | model) >= E_p[log r - log model].  Challengers r_k are
    fitted on ``fit`` and mixed with the model on ``hold``, and the mixture is evaluated on
    ``judge``. The limit holds at the level for every n (see :func:`lower_limit`), if the rows of
    ``judge`` (or their groups) are independent draws of p that the model has not seen either.

    Args:
        fit, hold, judge: Disjoint rows.
        challengers: From :func:`challengers_for`.
        budget: CPU seconds for fits; by default 10.
        recorded: Number of densities to fit instead, for an equal result.
        groups: Group numbers of rows that may depend on each other, for ``hold`` and for
            ``judge``, shape ``(n,)`` each.

    Raises:
        DataError: There are too few rows to evaluate or to choose on.
        CapabilityError: A challenger cannot be made.

    Example:
        >>> import torch
        >>> from wopt.particles import Particles
        >>> from wopt.testing import NormalTarget
        >>> q = NormalTarget([0.0], [[1.0]])
        >>> rng = torch.Generator().manual_seed(0)
        >>> parts = [Particles.start(1 + torch.randn(2000, 1, generator=rng).double())
        ...     for _ in range(3)]  # the model N(0, 1) of N(1, 1) has KL 1/2
        >>> rows = [ChallengeRows.of(q, p.points, p) for p in parts]
        >>> side = challenge(*rows, CLOSED)
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
    budget = Budget() if recorded is not None else budget or Budget(_SECONDS)
    fits = _fits(fit, hold, challengers, seed, budget)
    found = [one for _, one in zip(budget.clock(recorded), fits, strict=False)]
    if not found:
        raise DataError("no challenger takes part: name a block, or allow densities in closed form")
    logs = torch.stack([judge.ratio(one.side, one.density) for one in found], 1)
    chosen = torch.stack([one.logs for one in found], 1)
    groups = groups and (groups[0][kept], groups[1])
    steps = list[EscalationStep]()
    for k, one in enumerate(found, 1):
        stack = StackedRatio.fit(chosen[:, :k])
        values = stack.ratio(logs[:, :k])
        gain = float(values.mean()), error_of_mean(values, groups and groups[1])
        steps.append(EscalationStep(one.name, one.seconds, *gain))
    low, by = stack.limit(chosen, logs, level, groups), stack.by([one.name for one in found])
    return LowerSide(*gain, low, level, by, len(judge), tuple(steps), tried=len(found))


class _Fitted(NamedTuple):
    """A density on a side, log r - log model at held-out rows, and the seconds until its end."""

    name: str
    side: str
    density: Density
    logs: Tensor
    seconds: float


def _fits(
    fit: ChallengeRows, hold: ChallengeRows, challengers: Sequence[Challenger], seed: int,
    budget: Budget,
) -> Iterator[_Fitted]:  # fmt: skip
    """Yield fitted densities, turn by turn, while held-out rows gain."""
    watch, took, made = Stopwatch(), dict[str, float](), list[Tensor]()
    before = torch.zeros(len(hold), dtype=torch.float64)
    for turn in itertools.count():
        taking = [kind for kind in challengers if kind.takes(turn, fit)]
        if turn > 1 and not taking:
            return
        for side, kind in itertools.product(("data", "noise"), taking):
            place, lap = f"{kind.name} on the {side}", Stopwatch()
            if budget.left is not None and 2 * took.get(place, 0.0) > budget.left:
                return  # twice the effort of before does not fit
            rows = fit.points[side] if turn else fit.points[side][:FEW]
            density = kind.fit(rows, hold.points[side], derive(seed, place, turn), turn)
            made.append(hold.ratio(side, density))
            took[place] = lap.cpu
            yield _Fitted(place, side, density, made[-1], watch.cpu)
        if turn > 1:
            logs = torch.stack(made, 1)
            gains = StackedRatio.fit(logs).ratio(logs)
            growth, error = mean_and_error(gains - before)
            if turn > 2 and growth <= error:
                return
            before = gains
