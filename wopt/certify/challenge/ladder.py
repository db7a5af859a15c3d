"""The ladder of challengers by effort, within a budget of CPU seconds."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.certify.challenge.free_step import Effort, FreeStep
from wopt.certify.challenge.gaussians import Gaussians
from wopt.certify.challenge.kernel import KernelDensity
from wopt.certify.challenge.rows import Rows
from wopt.certify.challenge.stack import Stack
from wopt.certify.challenge.tree import Tree
from wopt.component import Spec
from wopt.interfaces.target import Target
from wopt.seeds import derive

__all__ = ["Challenger", "Options", "Rung", "climb", "ratios"]

Density = Callable[[Tensor], Tensor]

_KERNEL_DIM = 5
_TREE_DIM = 24
_QUICK_SHARE = 0.35
"""Of the budget, at most, for what is not trained."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How hard to try.

    Attributes:
        spec: The block of free steps; ``None`` for none.
        budget: CPU seconds.
        level: Confidence of the limit.
        seed: Of everything drawn.
        effort: Of the first free step; iterations double from rung to rung.
        gain: Least growth of the held-out gain by a rung, as a share and in nats, below which
            the ladder ends.
        sides: Where challengers live.
        quick: Whether densities that are not trained take part.
    """

    spec: Spec | None
    budget: float = 12.0
    level: float = 0.95
    seed: int = 0
    effort: Effort = dataclasses.field(default_factory=Effort)
    gain: tuple[float, float] = (0.02, 0.001)
    sides: tuple[str, ...] = ("data", "noise")
    quick: bool = True


@dataclasses.dataclass(frozen=True)
class Challenger:
    """A normalised density on one side of the flow."""

    name: str
    side: str
    density: Density

    def ratio(self, rows: Rows) -> Tensor:
        """Return log r - log model at rows, shape ``(n,)``."""
        view = rows.views[self.side]
        return self.density(view.points) - view.log_model


@dataclasses.dataclass(frozen=True)
class Rung:
    """What was tried up to some effort.

    Attributes:
        name: Of the rung.
        seconds: CPU seconds spent until its end.
        challengers: All so far.
        stack: Their mixture, from held-out rows.
        gain: The mean of log r - log model at these held-out rows.
    """

    name: str
    seconds: float
    challengers: tuple[Challenger, ...]
    stack: Stack
    gain: float


def ratios(challengers: tuple[Challenger, ...], rows: Rows) -> Tensor:
    """Return log r_k - log model, shape ``(n, k)``."""
    if not challengers:
        return torch.zeros(len(rows), 0, dtype=torch.float64)
    return torch.stack([c.ratio(rows) for c in challengers], dim=1)


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
    clock = _Clock(options.budget)
    made: list[Challenger] = []
    held: list[Tensor] = []

    def rung(name: str) -> Rung:
        held.extend(c.ratio(hold) for c in made[len(held) :])
        logs = torch.stack(held, dim=1) if held else torch.zeros(len(hold), 0)
        stack = Stack.fit([c.name for c in made], logs)
        gain = float(stack.ratio(logs).mean())
        return Rung(name, clock.spent, tuple(made), stack, gain)

    if options.quick and not fit.condition:
        for challenger in _quick(fit, hold, options, clock):
            made.append(challenger)
        yield rung("closed forms")
    if options.spec is None:
        return
    best, cost = None, dict.fromkeys(options.sides, 0.0)
    k, last = 0, None
    while True:
        affordable = [s for s in options.sides if k == 0 or 2.1 * cost[s] <= clock.left]
        sides = affordable if sum(2.1 * cost[s] for s in affordable) <= clock.left else [best]
        done = 0
        for side in sides:
            if side is None or side not in affordable or (done and clock.left <= 0):
                continue
            begun = clock.spent
            made.append(_free(target, fit, hold, options, side, k))
            cost[side] = clock.spent - begun
            done += 1
        if not done:
            return
        now = rung(f"{options.effort.iterations * 2**k} iterations")
        yield now
        best = _better(now, held, options.sides)
        share, least = options.gain
        if last is not None and now.gain - last < max(share * now.gain, least):
            return
        last, k = now.gain, k + 1


def _free(target: Target, fit: Rows, hold: Rows, options: Options, side: str, k: int) -> Challenger:
    assert options.spec is not None
    effort = dataclasses.replace(
        options.effort,
        iterations=options.effort.iterations * 2**k,
        checks=options.effort.checks + 4 * k,
    )
    step = FreeStep(
        options.spec,
        target,
        fit.views[side].points,
        hold.views[side].points,
        effort,
        fit.condition,
        derive(options.seed, side, k),
    )
    return Challenger(f"free step from the {side}, {effort.iterations}", side, step)


def _quick(fit: Rows, hold: Rows, options: Options, clock: _Clock) -> Iterator[Challenger]:
    makers: list[tuple[str, int, Callable[[Tensor, Tensor], Density]]] = [
        ("kernels", _KERNEL_DIM, KernelDensity),
        ("tree", _TREE_DIM, Tree),
        ("Gaussians", 10**9, functools.partial(Gaussians.best, seed=options.seed)),
    ]
    for name, most, make in makers:
        for side in options.sides:
            if fit.moves > most or (name == "tree" and fit.moves < 2):
                continue
            if clock.spent > _QUICK_SHARE * options.budget:
                return
            points = fit.views[side].points, hold.views[side].points
            yield Challenger(f"{name} on the {side}", side, make(*points))


def _better(rung: Rung, held: list[Tensor], sides: tuple[str, ...]) -> str:
    """Return the side whose last free step gained most on held-out rows."""
    last = {c.side: float(value.mean()) for c, value in zip(rung.challengers, held, strict=True)
            if c.name.startswith("free")}  # fmt: skip
    return max(sides, key=lambda side: last.get(side, -float("inf")))


class _Clock:
    """CPU seconds of this process."""

    def __init__(self, budget: float) -> None:
        self.begun = time.process_time()
        self.budget = budget

    @property
    def spent(self) -> float:
        return time.process_time() - self.begun

    @property
    def left(self) -> float:
        return self.budget - self.spent
