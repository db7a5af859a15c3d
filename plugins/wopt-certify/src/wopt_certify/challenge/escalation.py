"""The ladder of challengers by effort, in planned counts."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.component import Spec
from wopt.interfaces import Target
from wopt.seeds import derive
from wopt_certify.challenge.elliptical import Elliptical, Gaussians, Student
from wopt_certify.challenge.free_step import FreeStep, TrainingEffort
from wopt_certify.challenge.kernels import KernelDensity
from wopt_certify.challenge.monotone_transform import TransformedDensity
from wopt_certify.challenge.rows import Challenger, ChallengeRows, Density, Stack
from wopt_certify.challenge.tree import Tree, TurnedTree
from wopt_certify.lower import ChallengePlan, FreeTry

__all__ = ["EscalationOptions", "EscalationState", "escalate", "offered"]


@dataclasses.dataclass(frozen=True)
class EscalationOptions:
    """Options of a challenge.

    Attributes:
        spec: The block of free steps; ``None`` for none.
        budget: Approximate CPU seconds; they are turned into counts beforehand.
        level: Confidence of the limit.
        seed: Seed of all draws.
        effort: Effort of the first free step; iterations double from rung to rung.
        gain: Least growth of the held-out gain by a rung, relative and in nats, below which the
            ladder ends.
        sides: The coordinates in which challengers are fitted.
        quick: Whether densities in closed form take part.
        tries: Counts of a challenge to repeat, in place of planned ones.
    """

    spec: Spec | None
    budget: float = 12.0
    level: float = 0.95
    seed: int = 0
    effort: TrainingEffort = dataclasses.field(default_factory=TrainingEffort)
    gain: tuple[float, float] = (0.02, 0.001)
    sides: tuple[str, ...] = ("data", "noise")
    quick: bool = True
    tries: ChallengePlan | None = None


@dataclasses.dataclass(frozen=True)
class EscalationState:
    """The challengers up to some effort.

    Attributes:
        name: Name of the rung.
        seconds: CPU seconds spent until its end.
        challengers: All challengers so far.
        stack: Their mixture, from held-out rows.
        gain: The mean of log r - log model at these held-out rows, nats.
        tries: Counts so far.
    """

    name: str
    seconds: float
    challengers: tuple[Challenger, ...]
    stack: Stack
    gain: float
    tries: ChallengePlan


def escalate(
    target: Target,
    fit: ChallengeRows,
    hold: ChallengeRows,
    options: EscalationOptions,
    tries: ChallengePlan,
) -> Iterator[EscalationState]:
    """Yield rungs of growing effort until the gain stops growing or all planned tries are made.

    First come densities in closed form, then free steps whose iterations double.

    Args:
        target: q.
        fit: Rows to fit on.
        hold: Rows that choose states, bandwidths and weights.
        options: Options of the challenge.
        tries: The planned counts.
    """
    escalation = _Escalation(target, fit, hold, options)
    if options.quick and not fit.condition:
        for challenger in _quick(fit, hold, options, tries):
            escalation.take(challenger)
        yield escalation.rung("closed forms")
    last = -math.inf
    for k, rung in itertools.groupby(tries.free, key=lambda one: one.rung):
        for one in rung:
            escalation.take(escalation.free(one))
        now = escalation.rung(f"{options.effort.iterations * 2**k} iterations")
        yield now
        fraction, least = options.gain
        if now.gain - last < max(fraction * now.gain, least):
            return
        last = now.gain


class _Escalation:
    """The challengers so far, and their gains on held-out rows."""

    def __init__(
        self, target: Target, fit: ChallengeRows, hold: ChallengeRows, options: EscalationOptions
    ) -> None:
        self.target, self.fit, self.hold, self.options = target, fit, hold, options
        self.made: list[Challenger] = []
        self.hold_ratios: list[Tensor] = []
        self.gains: dict[str, float] = {}
        self.free_tries: list[FreeTry] = []
        self.begun = time.process_time()

    def take(self, challenger: Challenger) -> None:
        self.made.append(challenger)
        self.hold_ratios.append(challenger.ratio(self.hold))

    def rung(self, name: str) -> EscalationState:
        logs = (
            torch.stack(self.hold_ratios, dim=1)
            if self.hold_ratios
            else torch.zeros(len(self.hold), 0)
        )
        stack = Stack.fit([c.name for c in self.made], logs)
        gain = float(stack.ratio(logs).mean())
        closed = tuple(c.name for c in self.made if not isinstance(c.density, FreeStep))
        tries, spent = (
            ChallengePlan(closed, tuple(self.free_tries)),
            time.process_time() - self.begun,
        )
        return EscalationState(name, spent, tuple(self.made), stack, gain, tries)

    def free(self, one: FreeTry) -> Challenger:
        options, k = self.options, one.rung
        assert options.spec is not None
        side = max(self.gains, key=lambda s: self.gains[s]) if one.side == "best" else one.side
        effort = dataclasses.replace(
            options.effort, iterations=one.iterations, checks=options.effort.checks + 4 * k
        )
        points = self.fit.views[side].points, self.hold.views[side].points
        seed = derive(options.seed, side, k)
        step = FreeStep(options.spec, self.target, *points, effort, self.fit.condition, seed)
        self.free_tries.append(FreeTry(k, side, one.iterations))
        challenger = Challenger(f"free step from the {side}, {one.iterations}", side, step)
        self.gains[side] = float(challenger.ratio(self.hold).mean())
        return challenger


_Kind = tuple[str, Callable[[Tensor, Tensor, int], Density | None], int, int, float]
_ALL = 10**9
_KINDS: tuple[_Kind, ...] = (
    ("Student", lambda fit, hold, _: Student.best(fit, hold), 1, _ALL, 0.0),
    ("spheres", lambda fit, hold, _: Elliptical.best(fit, hold), 2, _ALL, 0.0),
    ("ellipsoids", lambda fit, hold, _: _ellipsoids(fit, hold), 2, _ALL, 0.0),
    ("warped columns", TransformedDensity.best, 1, 24, 0.0),
    ("tree", lambda fit, hold, _: Tree(fit, hold), 2, 24, 0.0),
    ("Gaussians", Gaussians.best, 1, _ALL, 0.0),
    ("turned tree", TurnedTree, 2, 24, 1.5),
    ("kernels", lambda fit, hold, _: KernelDensity(fit, hold), 1, 5, 5.0),
)
"""Densities in closed form, the quick ones first: name, function, least and largest dimension, and
least budget in CPU seconds."""


def offered(options: EscalationOptions, rows: ChallengeRows) -> list[tuple[str, str]]:
    """Return kind and side of the densities in closed form that may take part, in order.

    Args:
        options: Options of the challenge.
        rows: Rows, for their coordinates and dimension.
    """
    return [
        (kind[0], side)
        for kind, side in _in_turn(options, rows)
        if kind[2] <= rows.moves <= kind[3] and options.budget >= kind[4]
    ]


def _quick(
    fit: ChallengeRows, hold: ChallengeRows, options: EscalationOptions, tries: ChallengePlan
) -> Iterator[Challenger]:
    """Yield the densities in closed form that are planned."""
    for (name, make, *_), side in _in_turn(options, fit):
        title = f"{name} on the {side}"
        if title in tries.closed:
            points = fit.views[side].points, hold.views[side].points
            density = make(*points, options.seed)
            if density is not None:
                yield Challenger(title, side, density)


def _in_turn(options: EscalationOptions, rows: ChallengeRows) -> list[tuple[_Kind, str]]:
    pairs = [(kind, side) for kind in _KINDS for side in _sides(kind[0], rows, options)]
    return sorted(pairs, key=lambda pair: _turn(*pair))


def _sides(name: str, rows: ChallengeRows, options: EscalationOptions) -> tuple[str, ...]:
    """Return the sides of a kind: densities by columns use the data's own columns."""
    by_columns = name in ("warped columns", "tree") and "data" in options.sides
    if not by_columns:
        return options.sides
    own = "columns" if "columns" in rows.views else "data"
    rest = tuple(side for side in options.sides if side != "data")
    return (own,) if name == "warped columns" else (own, *rest)


def _turn(kind: _Kind, side: str) -> tuple[int, str]:
    """Return a kind's place in the order: trees and mixtures together, the data's side first."""
    at = _KINDS.index(kind)
    return (4, side) if kind[0] in ("tree", "Gaussians") else (at, side)


def _ellipsoids(fit: Tensor, hold: Tensor) -> Density:
    return Elliptical.best(fit, hold, Student.best(fit, hold))
