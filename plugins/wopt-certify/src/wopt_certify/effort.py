"""The effort of a certificate: particles and iterations that a budget allows."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch

from wopt.capabilities import Capability
from wopt.interfaces import FlowBlock, new_block
from wopt.particles import Particles
from wopt.push import push_all
from wopt.seeds import seeded
from wopt.stein import SteinForm
from wopt.train import Problem
from wopt.typed import Number, Typed
from wopt_certify.critic import stein_norm
from wopt_certify.replay import pushed_score

if TYPE_CHECKING:
    from wopt_certify.options import Certify

__all__ = ["Effort", "Scope", "effort_within_budget", "trip_rows"]

_MOST = (20_000, 300, 2_000)
_LEAST = (1_000, 25, 50)
"""Particles, iterations of a critic, rows whose score is pushed: the most and the least."""

_Sizes = tuple[int, int, int]

_RUNGS = 3
"""Number of nets of a critic without a budget."""

_MANY_RUNGS = 10

_LEAST_SECONDS = 0.5
"""Least budget, in CPU seconds: below it nothing could be measured."""

_CHALLENGE = 12.0
"""CPU seconds of challengers without a budget."""

_CHALLENGERS = 0.5
"""Fraction of a budget for challengers."""

_LEAST_CHALLENGE = 0.25
"""Least CPU seconds of challengers: for densities in closed form, on a few coordinates."""

_PLAN_ROWS = 500
"""Default number of rows of plans between samples."""

_PLANS, _WITHOUT = 0.4, "no plans between samples"
"""CPU seconds of plans between samples, mostly scipy's import; the note without them."""

_LEAST_SHARE = 0.25
"""Least fraction of the planned time for challengers."""

_PLANNED = 0.9
"""Planned fraction of a budget; the rest is for resolutions and for estimates that were too low."""

_TESTS = ((4.0, 5000, 1.2), (1.5, 600, 0.3))
"""Two-sample tests: the least budget, the rows compared, and the CPU seconds that they take."""

_LAST_ONLY = "first-order errors of the last step alone"
_TOO_SMALL = f"no two-sample tests (they need a budget of {_TESTS[-1][0]:g} CPU s)"

_JUDGES = (2_000, 20_000)
"""Rows that evaluate challengers: the least, however small the budget, and the most."""

_TRIAL = 256
_TRIAL_SCORE = 32
_TRIAL_FORMS = 1000
_TRIP_ROWS, _FEW_TRIP_ROWS = 2000, 200
_QUICK = 0.02
"""CPU seconds below which a timing is repeated, since the first one includes warm-up."""


def trip_rows(particles: int) -> int:
    """Return the number of rows of a round trip: few where the budget allows the least particles.

    A root mean square of 200 rows has an error of some 5 %, which its interval states.

    Example:
        >>> trip_rows(1000), trip_rows(1250), trip_rows(20_000)
        (200, 1250, 2000)
    """
    return min(particles, _TRIP_ROWS) if particles > _LEAST[0] else min(particles, _FEW_TRIP_ROWS)


@dataclasses.dataclass(frozen=True)
class Effort(Typed):
    """The amount of work of a certificate, and its expected cost.

    All fields are counts but the challengers' seconds, whose count is
    :attr:`wopt_certify.lower.LowerSide.tried`. With these counts a certificate repeats.

    Attributes:
        particles: Number of particles at most.
        iterations: Iterations of the first net of each critic.
        score_rows: Rows whose score is pushed.
        rungs: Nets of each critic at most, each with twice the iterations of the one before.
        last_only: Whether first-order errors are measured after the last step alone.
        judges: Rows that evaluate challengers at most.
        two_sample: Rows that two-sample tests compare at most; ``None`` without such tests.
        challenge: CPU seconds of the challengers; ``None`` without challengers.
        plans: Whether maps are compared with plans between samples.
        expected: Expected CPU seconds; ``None`` if they were not estimated.
        budget: CPU seconds allowed; ``None`` for any.
        left_out: The measurements that the budget is too small for, in words.
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
        """Return the effort that the options allow, whatever its cost."""
        asked = (options.particles, options.iterations, options.score_rows)
        rows, iterations, score_rows = (
            most if value is None else value for value, most in zip(asked, _MOST, strict=True)
        )
        return cls(
            rows,
            iterations,
            score_rows,
            # Iterations that are set are those of one net.
            rungs=_RUNGS if options.iterations is None else 1,
            judges=min(max(rows, _JUDGES[0]), _JUDGES[1]),
            challenge=_CHALLENGE if challenged else None,
            two_sample=_TESTS[0][1] if compared else None,
        )

    @property
    def text(self) -> str:
        """The planned work, in one line."""
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
    """The measurements that are possible, and the rows they have.

    Attributes:
        scored: Whether the start's score is known.
        challenged: Whether challengers can be run.
        compared: Whether samples can be compared with held-out rows.
        rows: Number of particles; ``None`` where they can be drawn.
        carried: Number of test rows that have gone through the audited maps already.
    """

    scored: bool = False
    challenged: bool = False
    compared: bool = False
    rows: int | None = None
    carried: int = 0


def effort_within_budget(
    options: Certify,
    problem: Problem,
    blocks: Sequence[FlowBlock],
    like: Particles,
    budget: float,
    scope: Scope,
) -> Effort:
    """Return the effort that fits the budget, by timing small parts of the work.

    Options that are set are kept; those left open are halved until the work fits, so that the plan
    takes few values. It is written into the certificate.

    Args:
        options: Options of [certify].
        problem: The problem: objective, scheme, solver.
        blocks: The maps.
        like: Particles at the start.
        budget: CPU seconds; 0 for any.
        scope: The measurements that are possible.
    """
    challenged, compared = scope.challenged, scope.compared
    full = Effort.full(options, challenged=challenged, compared=compared)
    if not budget or not blocks:
        return full
    whole = max(budget, _LEAST_SECONDS)
    tests, took = _tests(whole) if compared else (None, 0.0)
    rest = _PLANNED * whole - took
    fraction = (1 - _CHALLENGERS) * rest if challenged else rest
    cost = _Cost(options, problem, blocks, like, scope)
    sizes = _fitting(cost, options, full, fraction)
    expected = cost(*sizes)
    # Where the least measurement exceeds its part of the budget, challengers give way.
    least = max(_LEAST_SHARE * rest, _LEAST_CHALLENGE)
    challenge = max(rest - max(fraction, expected), least) if challenged else None
    plans = cost.plans(sizes[0])
    left_out = {
        _TOO_SMALL: compared and tests is None,
        _LAST_ONLY: cost.examined < cost.steps,
        _WITHOUT: options.transport_rows and not plans,
    }
    spare = fraction - expected
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
    """Return the rows that two-sample tests compare at most, and their CPU seconds."""
    return next(((rows, cost) for least, rows, cost in _TESTS if budget >= least), (None, 0.0))


def _fitting(cost: _Cost, options: Certify, full: Effort, budget: float) -> _Sizes:
    """Return particles, iterations and score rows that fit, for the last step alone if need be."""
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
    """Return the number of nets of each critic that the time left pays for."""
    each = spare / max(cost.critics, 1)
    for rung in range(1, _MANY_RUNGS):
        # Iterations double at each rung and widths at every second.
        each -= 2 * cost.critic * iterations * 2 ** (rung + rung // 2)
        if each < 0:
            return rung
    return _MANY_RUNGS


class _Cost:
    """CPU seconds of a certificate, extrapolated from a few rows and iterations."""

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
            x, *c = few.rows(slice(_TRIAL_SCORE)).inputs
            self.per_score_row = _seconds(lambda: pushed_score(blocks[0], x, x, *c)) / len(x)

    @property
    def critics(self) -> int:
        """Number of critics that are fitted; none where no field is needed."""
        return self.forms * self.examined if self.critic else 0

    def judges(self, particles: int) -> int:
        """Return the number of rows that evaluate challengers: those already carried, if enough."""
        return max(particles, self.scope.carried or _JUDGES[0])

    def plans(self, particles: int) -> bool:
        """Return whether plans between samples are made: not with the least particles."""
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
    """Return the CPU seconds of one iteration of a critic."""
    with seeded(0):
        net = new_block(options.net, like.dim, like.condition).float()
        sizes = [part.shape[1] for part in like.inputs]
        device = like.points.device
        rows = [torch.randn(options.batch_size, size, device=device) for size in sizes]
        net.to(device)

        def iterate() -> None:
            value, divergence = net.velocity(*rows)
            (value.square().sum() + divergence.sum()).backward()

        with torch.enable_grad():
            return _seconds(iterate)


def _of_closed_forms(options: Certify, problem: Problem, like: Particles) -> float:
    """Return the CPU seconds per particle of fields in closed form."""
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
    """Return the CPU seconds of a piece of work, without warm-up."""
    for _ in range(2):
        began = time.process_time()
        work()
        took = time.process_time() - began
        if took > _QUICK:
            break
    return took
