"""The ladder of challengers by effort, within a budget of CPU seconds."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from wopt.certify.challenge.challenger import Challenger, Density
from wopt.certify.challenge.directions import TurnedTree
from wopt.certify.challenge.elliptical import Elliptical
from wopt.certify.challenge.free_step import Effort, FreeStep
from wopt.certify.challenge.gaussians import Gaussians
from wopt.certify.challenge.kernel import KernelDensity
from wopt.certify.challenge.rows import Rows
from wopt.certify.challenge.stack import Stack
from wopt.certify.challenge.student import Student
from wopt.certify.challenge.tree import Tree
from wopt.certify.challenge.warp import Warped
from wopt.certify.tries import FreeTry, Tries
from wopt.component import Spec
from wopt.interfaces.target import Target
from wopt.seeds import derive

__all__ = ["LEARNING", "Options", "Rung", "climb"]

_QUICK_SHARE = 0.5
"""Of the budget, at most, for what is not trained; what is begun is finished."""
LEARNING = 0.2
"""Of the budget, for what challengers learn while they are judged."""
_CHEAP = 4
"""Dimensions up to which a tree is tried in columns as they are beside one in bent columns."""
_DOUBLED = 2.1
"""What twice the iterations cost."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How hard to try.

    Attributes:
        spec: The block of free steps; ``None`` for none.
        budget: CPU seconds. What has been begun is finished, so it may be a little more.
        level: Confidence of the limit.
        seed: Of everything drawn.
        effort: Of the first free step; iterations double from rung to rung.
        gain: Least growth of the held-out gain by a rung, as a share and in nats, below which
            the ladder ends.
        sides: Where challengers live.
        quick: Whether densities that are not trained take part.
        tries: What to do instead of what there is time for: a challenge that is repeated.
    """

    spec: Spec | None
    budget: float = 12.0
    level: float = 0.95
    seed: int = 0
    effort: Effort = dataclasses.field(default_factory=Effort)
    gain: tuple[float, float] = (0.02, 0.001)
    sides: tuple[str, ...] = ("data", "noise")
    quick: bool = True
    tries: Tries | None = None


@dataclasses.dataclass(frozen=True)
class Rung:
    """What was tried up to some effort.

    Attributes:
        name: Of the rung.
        seconds: CPU seconds spent until its end.
        challengers: All so far.
        stack: Their mixture, from held-out rows.
        gain: The mean of log r - log model at these held-out rows.
        tries: What was done so far.
    """

    name: str
    seconds: float
    challengers: tuple[Challenger, ...]
    stack: Stack
    gain: float
    tries: Tries


def climb(target: Target, fit: Rows, hold: Rows, options: Options) -> Iterator[Rung]:
    """Yield rungs of growing effort until the gain stops growing or the budget is spent.

    First come densities in closed form, then free steps whose iterations double, on both sides
    and, where the time left is too short for both, on the side that has gained more.

    Args:
        target: q.
        fit: Rows to fit on.
        hold: Rows that choose states, bandwidths and weights.
        options: How hard to try.
    """
    ladder = _Ladder(target, fit, hold, options)
    if options.quick and not fit.condition:
        for challenger in _quick(fit, hold, options, ladder):
            ladder.take(challenger)
        yield ladder.rung("closed forms")
    if options.spec is None:
        return
    last = -math.inf
    for k in range(20):
        sides = ladder.sides(k)
        for side in sides:
            ladder.take(ladder.free(side, k))
        if not sides:
            return
        now = ladder.rung(f"{options.effort.iterations * 2**k} iterations")
        yield now
        share, least = options.gain
        if now.gain - last < max(share * now.gain, least):
            return
        last = now.gain


class _Ladder:
    """The challengers so far, what they gain on held-out rows, and the time they took."""

    def __init__(self, target: Target, fit: Rows, hold: Rows, options: Options) -> None:
        self.target, self.fit, self.hold, self.options = target, fit, hold, options
        self.made: list[Challenger] = []
        self.hold_ratios: list[Tensor] = []
        self.costs: dict[str, float] = {}
        self.gains: dict[str, float] = {}
        self.free_tries: list[FreeTry] = []
        self.begun = time.process_time()

    @property
    def spent(self) -> float:
        return time.process_time() - self.begun

    @property
    def left(self) -> float:
        return (1 - LEARNING) * self.options.budget - self.spent

    def take(self, challenger: Challenger) -> None:
        self.made.append(challenger)
        self.hold_ratios.append(challenger.ratio(self.hold))

    def rung(self, name: str) -> Rung:
        logs = (
            torch.stack(self.hold_ratios, dim=1)
            if self.hold_ratios
            else torch.zeros(len(self.hold), 0)
        )
        stack = Stack.fit([c.name for c in self.made], logs)
        gain = float(stack.ratio(logs).mean())
        closed = tuple(c.name for c in self.made if not isinstance(c.density, FreeStep))
        tries = Tries(closed, tuple(self.free_tries))
        return Rung(name, self.spent, tuple(self.made), stack, gain, tries)

    def sides(self, k: int) -> Sequence[str]:
        """Return on which sides rung k can be afforded, the better one if not on both."""
        if self.options.tries is not None:
            return [one.side for one in self.options.tries.free if one.rung == k]
        if k == 0:
            # Something has to challenge, however short the time.
            return () if self.made and self.left <= 0 else self.options.sides
        left = self.left / _DOUBLED
        if sum(self.costs.values()) <= left:
            return self.options.sides
        best = max(self.gains, key=lambda side: self.gains[side])
        return (best,) if self.costs[best] <= left else ()

    def free(self, side: str, k: int) -> Challenger:
        options, begun = self.options, self.spent
        assert options.spec is not None
        effort = dataclasses.replace(
            options.effort,
            iterations=options.effort.iterations * 2**k,
            checks=options.effort.checks + 4 * k,
            seconds=math.inf if k else max(self.left, 0.0) / (2 - len(self.costs)),
            cut=self._cut(side, k),
        )
        points = self.fit.views[side].points, self.hold.views[side].points
        seed = derive(options.seed, side, k)
        step = FreeStep(options.spec, self.target, *points, effort, self.fit.condition, seed)
        self.costs[side] = self.spent - begun
        self.free_tries.append(FreeTry(k, side, step.iterations))
        challenger = Challenger(f"free step from the {side}, {effort.iterations}", side, step)
        self.gains[side] = float(challenger.ratio(self.hold).mean())
        return challenger

    def _cut(self, side: str, k: int) -> int | None:
        known = () if self.options.tries is None else self.options.tries.free
        return next((t.iterations for t in known if (t.rung, t.side) == (k, side)), None)


_Kind = tuple[str, Callable[[Tensor, Tensor, int], Density | None], int, int, float]
_ALL = 10**9
_KINDS: tuple[_Kind, ...] = (
    ("Student", lambda fit, hold, _: Student.best(fit, hold), 1, _ALL, 0.0),
    ("spheres", lambda fit, hold, _: Elliptical.best(fit, hold), 2, _ALL, 0.0),
    ("ellipsoids", lambda fit, hold, _: _ellipsoids(fit, hold), 2, _ALL, 0.0),
    ("warped columns", Warped.best, 1, 24, 0.0),
    ("tree", lambda fit, hold, _: Tree(fit, hold), 2, 24, 0.0),
    ("Gaussians", Gaussians.best, 1, _ALL, 0.0),
    ("turned tree", TurnedTree, 2, 24, 1.5),
    ("kernels", lambda fit, hold, _: KernelDensity(fit, hold), 1, 5, 5.0),
)
"""Densities in closed form, the quick ones first, with the dimensions in which they are used, least
and most, and the least budget in CPU seconds."""


def _quick(fit: Rows, hold: Rows, options: Options, ladder: _Ladder) -> Iterator[Challenger]:
    """Yield densities in closed form while there is time, or those that were tried."""
    tries = options.tries
    bent = ""
    pairs = ((kind, side) for kind in _KINDS for side in _sides(kind[0], fit, options))
    for (name, make, least, most, budget), side in sorted(pairs, key=lambda pair: _turn(*pair)):
        title = f"{name} on the {side}"
        if tries is None:
            if not least <= fit.moves <= most or options.budget < budget:
                continue
            if ladder.spent > _QUICK_SHARE * options.budget:
                return
        elif title not in tries.closed:
            continue
        points = fit.views[side].points, hold.views[side].points
        if name == "tree" and side == bent and fit.moves > _CHEAP:
            continue  # one was tried there already, in better coordinates
        density = make(*points, options.seed)
        if density is not None:
            yield Challenger(title, side, density)
            bent = side if name == "warped columns" else bent


def _sides(name: str, rows: Rows, options: Options) -> tuple[str, ...]:
    """Return where densities of a kind live: what is told by columns, in the data's own."""
    by_columns = name in ("warped columns", "tree") and "data" in options.sides
    if not by_columns:
        return options.sides
    own = "columns" if "columns" in rows.views else "data"
    rest = tuple(side for side in options.sides if side != "data")
    return (own,) if name == "warped columns" else (own, *rest)


def _turn(kind: _Kind, side: str) -> tuple[int, str]:
    """Return when a kind's turn is: trees and mixtures come together, the data's side first."""
    at = _KINDS.index(kind)
    return (4, side) if kind[0] in ("tree", "Gaussians") else (at, side)


def _ellipsoids(fit: Tensor, hold: Tensor) -> Density:
    return Elliptical.best(fit, hold, Student.best(fit, hold))
