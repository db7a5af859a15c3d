"""The plan of a challenge: counts that a budget of CPU seconds pays for.

Costs were measured on one machine and are scaled to this one by a probe. Budget and costs are
rounded to powers of the root of 2, so that a plan takes few values and a little noise of the
clock does not change it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time

import torch

from wopt.interfaces import Target
from wopt_certify.challenge.escalation import EscalationOptions, offered
from wopt_certify.challenge.free_step import FreeStep, TrainingEffort
from wopt_certify.challenge.judge import PARTS
from wopt_certify.challenge.monotone_transform import MonotoneTransform
from wopt_certify.challenge.rows import ChallengeRows
from wopt_certify.lower import ChallengePlan, FreeTry

__all__ = ["planned"]

_CLOSED, _LEARNING = 0.5, 0.2
"""Fractions of the budget for densities in closed form, and for their refits during evaluation."""

_Cost = tuple[float, float, float]
"""Coefficients of 1, d and d^2, in CPU seconds."""
_MAKE: dict[str, tuple[_Cost, _Cost]] = {
    "Student": ((0.005, 0, 0), (0.0005, 0.0003, 0)),
    "spheres": ((0.005, 0, 0), (0.0006, 0, 0)),
    "ellipsoids": ((0.011, 0, 0), (0.0011, 0.0003, 0)),
    "tree": ((0, 0.012, 0.002), (0, 0, 0.00022)),
    "Gaussians": ((0.03, 0, 0), (0.075, 0, 0)),
    "warped columns": ((0.06, 0.02, 0.002), (0.04, 0, 0.0004)),
    "turned tree": ((0.01, 0.012, 0.002), (0, 0, 0.00025)),
    "kernels": ((0, 0, 0), (0.2, 0, 0)),
}
"""Cost of a fit: the constant part, and the part per thousand rows."""
_MOST_ROWS = {"Gaussians": 8.0, "kernels": 6.0}
_AGAIN: dict[str, tuple[_Cost, _Cost]] = {
    "Student": ((0, 0, 0), (0.0002, 0.0001, 0)),
    "ellipsoids": ((0, 0, 0), (0.0004, 0.0001, 0)),
    "spheres": ((0, 0, 0), (0.00015, 0, 0)),
    "tree": ((0, 0.0011, 0), (0, 0.0002, 0)),
    "Gaussians": ((0, 0, 0), (0.009, 0, 0)),
    "warped columns": ((0, 0.0015, 0), (0, 0.0007, 0)),
    "turned tree": ((0, 0.0012, 0), (0, 0.00025, 0)),
}
"""Cost of a refit: the constant part, and the part per thousand rows."""
_AT: dict[str, _Cost] = {
    "tree": (0, 0.0005, 0),
    "warped columns": (0, 0.0007, 0),
    "turned tree": (0, 0.0005, 0),
    "Gaussians": (0.001, 0, 0),
    "kernels": (0.09, 0, 0),
}
_ANY: _Cost = (0.0002, 0, 0)
"""Cost of the other densities at a thousand rows."""

_BENT = "warped columns"
_CHEAP = 4
"""Largest dimension in which a tree is tried in raw columns as well as in warped columns."""

_PROBE = 0.0009
"""CPU seconds of the probe on the machine of the costs."""
_LEAST_ITERATIONS = 50
"""Least iterations of a free step: with fewer it does not gain over closed forms."""
_WORTH = 0.4
"""CPU seconds below which no free step is started if closed forms take part."""


def planned(
    target: Target, fit: ChallengeRows, hold: ChallengeRows, judges: int, options: EscalationOptions
) -> ChallengePlan:
    """Return the counts of a challenge; given counts are kept.

    Args:
        target: q.
        fit, hold: Rows.
        judges: Number of evaluation rows.
        options: Options of the challenge; its ``tries`` are returned if given.
    """
    if options.tries is not None:
        return options.tries
    speed = _grid(_probe() / _PROBE)
    work = _grid(options.budget / speed)
    rows = len(fit), len(hold), judges
    quick = options.quick and not fit.condition
    pairs = _useful(offered(dataclasses.replace(options, budget=work), fit), fit, hold, quick)
    closed, spent = _closed(pairs, fit.moves, rows, _CLOSED * work)
    free: tuple[FreeTry, ...] = ()
    left = (1 - _LEARNING) * work - spent
    if options.spec is not None and (left >= _WORTH or not closed):
        each = _grid(_of_iteration(target, fit, hold, options) / speed)
        free = _free(options, left, each, rows, must=not closed)
    if not free:
        closed, _ = _closed(pairs, fit.moves, rows, (1 - _LEARNING) * work)
    refits = _refits([kind for kind, _ in closed], fit.moves, sum(rows[:2]) + judges // 2, work)
    return ChallengePlan(tuple(f"{kind} on the {side}" for kind, side in closed), free, refits)


def _useful(
    pairs: list[tuple[str, str]], fit: ChallengeRows, hold: ChallengeRows, quick: bool
) -> list[tuple[str, str]]:
    """Return the useful pairs: warped columns where some bend, and then fewer plain trees."""
    if not quick:
        return []
    bent = [side for kind, side in pairs if kind == _BENT and _bends(fit, hold, side)]
    reference = [] if fit.moves <= _CHEAP else [("tree", side) for side in bent]
    without = [(_BENT, side) for kind, side in pairs if kind == _BENT and side not in bent]
    return [pair for pair in pairs if pair not in (*reference, *without)]


def _bends(fit: ChallengeRows, hold: ChallengeRows, side: str) -> bool:
    columns = zip(fit.views[side].points.T, hold.views[side].points.T, strict=True)
    return any(MonotoneTransform.best(one, other) != MonotoneTransform() for one, other in columns)


def _closed(
    pairs: list[tuple[str, str]], dim: int, rows: tuple[int, int, int], seconds: float
) -> tuple[list[tuple[str, str]], float]:
    """Return the densities that fit into the seconds, at least the first, and their cost."""
    chosen, spent = list[tuple[str, str]](), 0.0
    for kind, side in pairs:
        cost = _of(_MAKE[kind], dim, min(rows[0] / 1e3, _MOST_ROWS.get(kind, 20.0)))
        cost += _polynomial(_AT.get(kind, _ANY), dim) * (rows[1] + rows[2]) / 1e3
        if not chosen or spent + cost <= seconds:
            chosen.append((kind, side))
            spent += cost
    return chosen, spent


def _free(
    options: EscalationOptions, left: float, each: float, rows: tuple[int, int, int], *, must: bool
) -> tuple[FreeTry, ...]:
    """Return the free steps that fit into the time left, at ``each`` seconds per iteration."""
    effort, sides = options.effort, options.sides

    def cost(iterations: int, k: int) -> float:
        looked = (effort.checks + 4 * k + 1) * rows[1] + rows[2]  # each at half a row's cost
        return each * (iterations + looked / effort.batch_size / 2)

    iterations, least = effort.iterations, min(effort.iterations, _LEAST_ITERATIONS)
    while iterations > least and len(sides) * cost(iterations, 0) > left:
        iterations = max(iterations // 2, least)
    if not must and len(sides) * cost(iterations, 0) > left:
        sides = sides[:1]
        if cost(iterations, 0) > left:
            return ()
    tries = [FreeTry(0, side, iterations) for side in sides]
    k = 0
    while iterations == effort.iterations * 2**k and len(sides) == len(options.sides):
        left -= len(sides) * cost(iterations, k)
        k, iterations = k + 1, 2 * iterations
        if cost(iterations, k) > left:
            break
        if len(sides) * cost(iterations, k) > left:
            sides = ("best",)
        tries += [FreeTry(k, side, iterations) for side in sides]
    return tuple(tries)


def _refits(kinds: list[str], dim: int, rows: int, work: float) -> tuple[int, ...]:
    """Return the number of densities refitted before each part, the first ones of the order."""
    # Before every part those that half of the time pays for, which have few parameters and so the
    # most to learn; all of them as often as the rest pays for. If it pays for none, some halfway.
    costs = [_of(_AGAIN[kind], dim, rows / 1e3) for kind in kinds if kind in _AGAIN]
    seconds, sums = _LEARNING * work, [0.0, *itertools.accumulate(costs)]
    always = max(k for k, one in enumerate(sums) if PARTS * one <= seconds / 2)
    if PARTS * sums[-1] <= seconds:
        return (len(costs),) * PARTS
    passes = math.floor((seconds - PARTS * sums[always]) / (sums[-1] - sums[always]))
    done = [math.floor(part * passes / PARTS) for part in range(PARTS + 1)]
    if always or passes:
        return tuple(len(costs) if b > a else always for a, b in itertools.pairwise(done))
    some = max(k for k, one in enumerate(sums) if one <= seconds)
    return tuple(some if part == PARTS // 2 else 0 for part in range(PARTS))


def _of_iteration(
    target: Target, fit: ChallengeRows, hold: ChallengeRows, options: EscalationOptions
) -> float:
    """Return the CPU seconds of an iteration of a free step, without first-time costs."""
    assert options.spec is not None
    took, side = list[float](), options.sides[0]
    for iterations in (1, 5):
        effort = TrainingEffort(iterations, options.effort.batch_size, checks=1)
        begun = time.process_time()
        points, few = fit.views[side].points, hold.views[side].points[:50]
        FreeStep(options.spec, target, points, few, effort, fit.condition)
        took.append(time.process_time() - begun)
    return max(took[1] - took[0], took[1] / 10) / 4


def _probe() -> float:
    """Return the CPU seconds of a little work like that of challengers, the least of ten."""
    x, best = torch.linspace(-1, 1, 4000, dtype=torch.float64).reshape(400, 10), math.inf
    for _ in range(10):
        begun = time.process_time()
        torch.cdist(x, x).square().neg().softmax(1).matmul(x).sort(0)
        best = min(best, time.process_time() - begun)
    return max(best, 1e-6)


def _grid(value: float) -> float:
    """Return the nearest power of the root of 2.

    Example:
        >>> _grid(0.9), round(_grid(1.5), 3)
        (1.0, 1.414)
    """
    return float(2 ** (round(2 * math.log2(max(value, 1e-3))) / 2))


def _of(cost: tuple[_Cost, _Cost], dim: int, thousands: float) -> float:
    return _polynomial(cost[0], dim) + thousands * _polynomial(cost[1], dim)


def _polynomial(cost: _Cost, dim: int) -> float:
    return cost[0] + cost[1] * dim + cost[2] * dim**2
