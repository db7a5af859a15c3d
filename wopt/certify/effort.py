"""How much a certificate may cost: particles and iterations that a budget allows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import torch

from wopt.capabilities import Capability
from wopt.certify.critic import stein_norm
from wopt.certify.options import CertifyOptions
from wopt.certify.score import pushed_score
from wopt.interfaces.block import FlowBlock, new_block
from wopt.particles import Particles
from wopt.push import push_all
from wopt.seeds import seeded
from wopt.stein.form import SteinForm
from wopt.train.problem import Problem
from wopt.typed import Number, Typed

__all__ = ["Effort", "plan", "trip_rows"]

_MOST = (20_000, 300, 2_000)
_LEAST = (1_000, 25, 50)
"""Particles, iterations of a critic, rows whose score is pushed: in full, and at the least."""

_CRITIC = 4.0
"""Processor seconds of a critic's nets where there is no budget."""

_LEAST_SECONDS = 1.0
"""No budget is smaller: below it nothing could be measured."""

_CHALLENGE = 12.0
"""Processor seconds of challengers where there is no budget."""

_CHALLENGERS = 0.5
"""Their share of a budget."""

_LEAST_SHARE = 0.25
"""Of what is planned, for challengers at the least."""

_PLANNED = 0.9
"""Of a budget; the rest is for the resolutions and for what takes longer than it seemed."""

_TWO_SAMPLE = 1.5
"""Processor seconds of two-sample tests."""

_ENOUGH = 4.0
"""The least budget of which two-sample tests get a part."""

_TOO_SMALL = f"no two-sample tests (they need a budget of {_ENOUGH:g} CPU s)"

_TRIAL = 256
_TRIAL_SCORE = 32
_TRIAL_FORMS = 1000
_ROUND_TRIPS, _TRIP_ROWS, _FEW_TRIP_ROWS = 2, 2000, 200
"""Round trips of data and of noise go through the audited maps once each."""


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

    Attributes:
        particles: At most so many.
        iterations: Of the first net of each critic.
        score_rows: Rows whose score is pushed.
        expected: Processor seconds that this should take; ``None`` if it was not asked.
        budget: Processor seconds that it may take; ``None`` for any.
        challenge: Processor seconds of the challengers; ``None`` where there are none.
        critic: Processor seconds of each critic's nets.
        two_sample: Processor seconds of two-sample tests; ``None`` where there are none.
        left_out: What the budget is too small for, in words.
    """

    particles: int
    iterations: int
    score_rows: int
    expected: Number | None = None
    budget: float | None = None
    challenge: float | None = None
    critic: float = _CRITIC
    two_sample: float | None = None
    left_out: str = ""

    @classmethod
    def full(
        cls, options: CertifyOptions, *, challenged: bool = False, compared: bool = False
    ) -> Effort:
        """Return what the options say, whatever it costs."""
        asked = (options.particles, options.iterations, options.score_rows)
        rows, iterations, score_rows = (
            most if value is None else value for value, most in zip(asked, _MOST, strict=True)
        )
        # Iterations that are named are those of one net.
        critic = _CRITIC if options.iterations is None else 0.0
        challenge = _CHALLENGE if challenged else None
        tests = _TWO_SAMPLE if compared else None
        return cls(
            rows, iterations, score_rows, challenge=challenge, critic=critic, two_sample=tests
        )

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


def plan(
    options: CertifyOptions,
    problem: Problem,
    blocks: Sequence[FlowBlock],
    like: Particles,
    trained: float,
    *,
    scored: bool = False,
    challenged: bool = False,
    compared: bool = False,
) -> Effort:
    """Return the effort that fits the budget, by measuring what a little of it costs.

    What the options name is obeyed; what they leave open is halved until it fits, so that the
    plan takes few values. It is written into the certificate.

    Args:
        options: Of [certify].
        problem: What was minimised and how.
        blocks: The maps.
        like: Particles at the start.
        trained: Processor seconds of the training.
        scored: Whether the start's score is known.
        challenged: Whether challengers can be run.
        compared: Whether samples can be compared with held-out rows.
    """
    full = Effort.full(options, challenged=challenged, compared=compared)
    if not options.budget or not blocks:
        return full
    whole = max(options.budget * trained, _LEAST_SECONDS)
    tests = _TWO_SAMPLE if compared and whole >= _ENOUGH else None
    rest = _PLANNED * whole - (tests or 0.0)
    budget = (1 - _CHALLENGERS) * rest if challenged else rest
    cost = _Cost(options, problem, blocks, like, scored)
    sizes = _fitting(cost, options, full, budget)
    expected = cost(*sizes)
    # Where the least that can be measured is more than its share, challengers make room for it.
    challenge = max(rest - max(budget, expected), _LEAST_SHARE * rest) if challenged else None
    # What is left over goes to more nets, the critics one after the other.
    spare = max(0.0, budget - expected) / (cost.forms * len(blocks))
    return Effort(
        particles=sizes[0],
        iterations=sizes[1],
        score_rows=sizes[2],
        expected=expected + (challenge or 0.0) + (tests or 0.0),
        budget=whole,
        challenge=challenge,
        critic=spare if options.iterations is None else 0.0,
        two_sample=tests,
        left_out=_TOO_SMALL if compared and tests is None else "",
    )


def _fitting(cost: _Cost, options: CertifyOptions, full: Effort, budget: float) -> list[int]:
    """Return particles, iterations and score rows, halved where left open until they fit."""
    open_ = [v is None for v in (options.particles, options.iterations, options.score_rows)]
    sizes = [full.particles, full.iterations, full.score_rows]
    while cost(*sizes) > budget:
        smaller = [
            max(size // 2, least) if free and size > least else size
            for size, least, free in zip(sizes, _LEAST, open_, strict=True)
        ]
        if smaller == sizes:
            break
        sizes = smaller
    return sizes


class _Cost:
    """Processor seconds of a certificate, from those of a few rows and iterations."""

    def __init__(
        self,
        options: CertifyOptions,
        problem: Problem,
        blocks: Sequence[FlowBlock],
        like: Particles,
        scored: bool,
    ) -> None:
        few = like if like.weights is not None else like.rows(slice(_TRIAL))
        self.steps = len(blocks)
        rows = len(few)
        self.push = _seconds(lambda: push_all(blocks, few, audit=True)) / rows
        self.critic = self.closed = 0.0
        # Without the log-det no field is needed: the gradient at the particles is known.
        if problem.objective.needs & (Capability.LOG_DET | Capability.LOG_DENSITY):
            self.critic = _of_critic(options, few)
            self.closed = _of_closed_forms(options, problem, like)
        self.forms = 1 if scored else 2
        self.per_score_row = 0.0
        if scored:
            x = few.points[:_TRIAL_SCORE]
            self.per_score_row = _seconds(lambda: pushed_score(blocks[0], x, x)) / len(x)

    @property
    def critics(self) -> int:
        """How many critics are fitted; none where no field is needed."""
        return self.forms * self.steps if self.critic else 0

    def __call__(self, particles: int, iterations: int, score_rows: int) -> float:
        carried = self.push * (particles + _ROUND_TRIPS * trip_rows(particles))
        critics = self.critics * (2 * self.critic * iterations + self.closed * particles)
        return carried + critics + self.steps * self.per_score_row * min(score_rows, particles)


def _of_critic(options: CertifyOptions, like: Particles) -> float:
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


def _of_closed_forms(options: CertifyOptions, problem: Problem, like: Particles) -> float:
    """Return the seconds that fields in closed form take for a particle."""
    if like.weights is not None or options.iterations == 0:
        return 0.0
    at = like.rows(slice(_TRIAL_FORMS))
    at = at.moved(at.points, torch.zeros_like(at.points[:, 0]))
    critic = options.of_critic(1, 0, 0.0)
    with torch.no_grad():
        form = SteinForm.of(problem.objective, at)
        took = _seconds(lambda: stein_norm(form, critic))
    return 2 * took / len(at)  # kernels cost more for more particles


def _seconds(work: Callable[[], object]) -> float:
    """Return the least processor time of a piece of work; the first time warms up."""
    seconds = []
    for _ in range(2):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)
