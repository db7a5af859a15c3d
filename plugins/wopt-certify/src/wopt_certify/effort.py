"""How much a certificate may cost: particles and iterations that a budget allows."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock, new_block
from wopt.particles import Particles
from wopt.push import push_all
from wopt.seeds import seeded
from wopt.stein.form import SteinForm
from wopt.train.problem import Problem
from wopt.typed import Number, Typed
from wopt_certify.critic import stein_norm
from wopt_certify.score import pushed_score

if TYPE_CHECKING:
    from wopt_certify.options import Certify

__all__ = ["Effort", "Scope", "plan", "trip_rows"]

_MOST = (20_000, 300, 2_000)
_LEAST = (1_000, 25, 50)
"""Particles, iterations of a critic, rows whose score is pushed: in full, and at the least."""

_Sizes = tuple[int, int, int]

_RUNGS = 3
"""Nets of a critic where there is no budget."""

_MANY_RUNGS = 10

_TELLING = 75
"""Iterations of a critic below which bounds from above are no headline."""

_LEAST_SECONDS = 0.5
"""No budget is smaller: below it nothing could be measured."""

_CHALLENGE = 12.0
"""Processor seconds of challengers where there is no budget."""

_CHALLENGERS = 0.5
"""Their share of a budget."""

_LEAST_CHALLENGE = 0.25
"""Processor seconds of challengers at the least: densities in closed form, on a few coordinates."""

_PLAN_ROWS = 500
"""Rows of plans where they are not set."""

_PLANS, _WITHOUT = 0.4, "no plans between samples"
"""Processor seconds of plans between samples: scipy's import, most of all."""

_LEAST_SHARE = 0.25
"""Of what is planned, for challengers at the least."""

_PLANNED = 0.9
"""Of a budget; the rest is for the resolutions and for what takes longer than it seemed."""

_TESTS = ((4.0, 5000, 1.2), (1.5, 600, 0.3))
"""From which budget on two-sample tests compare how many rows, and their processor seconds."""

_LAST_ONLY = "first-order errors of the last step alone"
_TOO_SMALL = f"no two-sample tests (they need a budget of {_TESTS[-1][0]:g} CPU s)"

_JUDGES = (2_000, 20_000)
"""Rows that judge challengers, at the least, however small the budget, and at most."""

_TRIAL = 256
_TRIAL_SCORE = 32
_TRIAL_FORMS = 1000
_TRIP_ROWS, _FEW_TRIP_ROWS = 2000, 200
_QUICK = 0.02
"""What takes less is timed again, since the first time warms up."""


def trip_rows(particles: int) -> int:
    """Return the rows of a round trip: few where the budget bore the least number of particles.

    A root mean square of 200 rows is known to some 5 %, and an interval says how well.

    Example:
        >>> trip_rows(1000), trip_rows(1250), trip_rows(20_000)
        (200, 1250, 2000)
    """
    return min(particles, _TRIP_ROWS) if particles > _LEAST[0] else min(particles, _FEW_TRIP_ROWS)


@dataclasses.dataclass(frozen=True)
class Effort(Typed):
    """What a certificate is measured with, and what it costs.

    All are counts but the challengers' seconds, which are turned into counts before the first of
    them is fitted (:class:`~wopt_certify.tries.Tries`). With these counts a certificate repeats.

    Attributes:
        particles: At most so many.
        iterations: Of the first net of each critic.
        score_rows: Rows whose score is pushed.
        rungs: Nets of each critic at most, each with twice the iterations of the one before.
        last_only: Whether first-order errors are measured after the last step alone.
        judges: Rows that judge challengers at most.
        two_sample: Rows that two-sample tests compare at most; ``None`` where there are none.
        challenge: Processor seconds of the challengers; ``None`` where there are none.
        plans: Whether maps are compared with plans between samples.
        expected: Processor seconds that this should take; ``None`` if it was not asked.
        budget: Processor seconds that it may take; ``None`` for any.
        left_out: What the budget is too small for, in words.
    """

    particles: int
    iterations: int
    score_rows: int
    rungs: int = _RUNGS
    last_only: bool = False
    judges: int = _JUDGES[1]
    two_sample: int | None = None
    challenge: float | None = None
    plans: bool = True
    expected: Number | None = None
    budget: float | None = None
    left_out: str = ""

    @classmethod
    def full(cls, options: Certify, *, challenged: bool = False, compared: bool = False) -> Effort:
        """Return what the options say, whatever it costs."""
        asked = (options.particles, options.iterations, options.score_rows)
        rows, iterations, score_rows = (
            most if value is None else value for value, most in zip(asked, _MOST, strict=True)
        )
        return cls(
            rows,
            iterations,
            score_rows,
            # Iterations that are named are those of one net.
            rungs=_RUNGS if options.iterations is None else 1,
            judges=min(max(rows, _JUDGES[0]), _JUDGES[1]),
            challenge=_CHALLENGE if challenged else None,
            two_sample=_TESTS[0][1] if compared else None,
        )

    @property
    def telling(self) -> bool:
        """Whether test fields are looked for hard enough to state what they allow.

        Critics of 25 iterations, for which a training of 7 s pays, allowed 0.05, 0.09 and 2.7 where
        KL was 0.06, 0.21 and 4 (uniform, exponential and Cauchy columns, 6,000 rows); those of 150
        were wrong in one of 147 runs. Without a budget nothing is held back.
        """
        return self.budget is None or self.iterations >= _TELLING

    @property
    def text(self) -> str:
        """What is about to be done, in a line."""
        said = (
            f"certifying on {self.particles:,} particles, critics of {self.iterations} iterations"
            + (f", challengers for {self.challenge:.2g} CPU s" if self.challenge else "")
            + (", two-sample tests" if self.two_sample else "")
        )
        if self.budget is not None and self.expected is not None:
            said += f": at least {self.expected:.2g} CPU s, of a budget of {self.budget:.2g}"
        return said + (f"; {self.left_out}" if self.left_out else "")


@dataclasses.dataclass(frozen=True)
class Scope:
    """What can be measured, and on how many rows.

    Attributes:
        scored: Whether the start's score is known.
        challenged: Whether challengers can be run.
        compared: Whether samples can be compared with held-out rows.
        rows: How many particles there are; ``None`` where they can be drawn.
        carried: Test rows that have gone through the audited maps already.
    """

    scored: bool = False
    challenged: bool = False
    compared: bool = False
    rows: int | None = None
    carried: int = 0


def plan(
    options: Certify,
    problem: Problem,
    blocks: Sequence[FlowBlock],
    like: Particles,
    budget: float,
    scope: Scope,
) -> Effort:
    """Return the effort that fits the budget, by measuring what a little of it costs.

    What the options name is obeyed; what they leave open is halved until it fits, so that the
    plan takes few values. It is written into the certificate.

    Args:
        options: Of [certify].
        problem: What was minimised and how.
        blocks: The maps.
        like: Particles at the start.
        budget: Processor seconds; 0 for any.
        scope: What can be measured.
    """
    challenged, compared = scope.challenged, scope.compared
    full = Effort.full(options, challenged=challenged, compared=compared)
    if not budget or not blocks:
        return full
    whole = max(budget, _LEAST_SECONDS)
    tests, took = _tests(whole) if compared else (None, 0.0)
    rest = _PLANNED * whole - took
    share = (1 - _CHALLENGERS) * rest if challenged else rest
    cost = _Cost(options, problem, blocks, like, scope)
    sizes = _fitting(cost, options, full, share)
    expected = cost(*sizes)
    # Where the least that can be measured is more than its share, challengers make room for it.
    least = max(_LEAST_SHARE * rest, _LEAST_CHALLENGE)
    challenge = max(rest - max(share, expected), least) if challenged else None
    plans = cost.plans(sizes[0])
    left_out = {
        _TOO_SMALL: compared and tests is None,
        _LAST_ONLY: cost.examined < cost.steps,
        _WITHOUT: options.transport_rows and not plans,
    }
    spare = share - expected
    return Effort(
        *sizes,
        rungs=_rungs(spare, cost, sizes[1]) if options.iterations is None else 1,
        last_only=cost.examined < cost.steps,
        judges=min(cost.judges(sizes[0]), _JUDGES[1]),
        two_sample=tests,
        challenge=challenge,
        plans=plans,
        expected=expected + (challenge or 0.0) + took,
        budget=whole,
        left_out="; ".join(text for text, so in left_out.items() if so),
    )


def _tests(budget: float) -> tuple[int | None, float]:
    """Return the rows that two-sample tests compare at most, and their seconds."""
    return next(((rows, cost) for least, rows, cost in _TESTS if budget >= least), (None, 0.0))


def _fitting(cost: _Cost, options: Certify, full: Effort, budget: float) -> _Sizes:
    """Return particles, iterations and score rows that fit, of the last step alone if need be."""
    sizes = _halved(cost, options, full, budget)
    if cost(*sizes) > budget and cost.steps > 1 and options.iterations is None:
        cost.examined = 1
        sizes = _halved(cost, options, full, budget)
    return sizes


def _halved(cost: _Cost, options: Certify, full: Effort, budget: float) -> _Sizes:
    """Return the sizes, halved where left open until they fit."""
    open_ = [v is None for v in (options.particles, options.iterations, options.score_rows)]
    sizes = (full.particles, full.iterations, full.score_rows)
    while cost(*sizes) > budget:
        smaller = tuple(
            max(size // 2, least) if free and size > least else size
            for size, least, free in zip(sizes, _LEAST, open_, strict=True)
        )
        if smaller == sizes:
            break
        sizes = cast(_Sizes, smaller)
    return sizes


def _rungs(spare: float, cost: _Cost, iterations: int) -> int:
    """Return how many nets of each critic the time that is left pays for."""
    each = spare / max(cost.critics, 1)
    for rung in range(1, _MANY_RUNGS):
        # Iterations double at each rung and widths at every second.
        each -= 2 * cost.critic * iterations * 2 ** (rung + rung // 2)
        if each < 0:
            return rung
    return _MANY_RUNGS


class _Cost:
    """Processor seconds of a certificate, from those of a few rows and iterations."""

    def __init__(
        self,
        options: Certify,
        problem: Problem,
        blocks: Sequence[FlowBlock],
        like: Particles,
        scope: Scope,
    ) -> None:
        few = like if like.weights is not None else like.rows(slice(_TRIAL))
        self.steps = self.examined = len(blocks)
        self.scope = scope
        self.transport = bool(options.transport_rows) and "scipy.optimize" not in sys.modules
        self.asked = options.transport_rows != _PLAN_ROWS
        self.push = _seconds(lambda: push_all(blocks, few, audit=True)) / len(few)
        self.critic = self.closed = 0.0
        # Without the log-det no field is needed: the gradient at the particles is known.
        if problem.objective.needs & (Capability.LOG_DET | Capability.LOG_DENSITY):
            self.critic = _of_critic(options, few)
            self.closed = _of_closed_forms(options, problem, like)
        self.forms = 1 if scope.scored else 2
        self.per_score_row = 0.0
        if scope.scored:
            x = few.points[:_TRIAL_SCORE]
            self.per_score_row = _seconds(lambda: pushed_score(blocks[0], x, x)) / len(x)

    @property
    def critics(self) -> int:
        """How many critics are fitted; none where no field is needed."""
        return self.forms * self.examined if self.critic else 0

    def judges(self, particles: int) -> int:
        """Return the rows that judge: those that were carried, if that is enough."""
        return max(particles, self.scope.carried or _JUDGES[0])

    def plans(self, particles: int) -> bool:
        """Whether plans between samples are made: not where only the least can be measured."""
        return self.examined == self.steps and (self.asked or particles > _LEAST[0])

    def __call__(self, particles: int, iterations: int, score_rows: int) -> float:
        scope = self.scope
        some = particles if scope.rows is None else min(particles, scope.rows)
        new = max(some, self.judges(some) if scope.challenged else 0)
        carried = self.push * ((new if new > scope.carried else 0) + trip_rows(some))
        critics = self.critics * (2 * self.critic * iterations + self.closed * some)
        plans = _PLANS if self.transport and self.plans(particles) else 0.0
        scores = self.steps * self.per_score_row * min(score_rows, some)
        return carried + critics + plans + scores


def _of_critic(options: Certify, like: Particles) -> float:
    """Return the seconds of one iteration of a critic."""
    with seeded(0):
        net = new_block(options.net, like.dim, like.condition).float()
        rows = torch.randn(options.batch_size, like.dim, device=like.points.device)
        net.to(rows.device)

        def iterate() -> None:
            value, divergence = net.velocity(rows)
            (value.square().sum() + divergence.sum()).backward()

        with torch.enable_grad():
            return _seconds(iterate)


def _of_closed_forms(options: Certify, problem: Problem, like: Particles) -> float:
    """Return the seconds that fields in closed form take for a particle."""
    if like.weights is not None or options.iterations == 0:
        return 0.0
    at = like.rows(slice(_TRIAL_FORMS))
    at = at.moved(at.points, torch.zeros_like(at.points[:, 0]))
    critic = options.of_critic(1, 0, 1)
    with torch.no_grad():
        form = SteinForm.of(problem.objective, at)
        took = _seconds(lambda: stein_norm(form, critic))
    # A part does not grow with the particles; kernels cost more for more.
    return took / max(len(at), _TRIAL_FORMS // 2)


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work, without warming up."""
    for _ in range(2):
        began = time.process_time()
        work()
        took = time.process_time() - began
        if took > _QUICK:
            break
    return took
