"""The record of a step for people, trackers and reports."""

from __future__ import annotations

import dataclasses
from typing import Literal

from wopt.typed import Number, Typed

Action = Literal[
    "grid made finer",
    "trained again at half the rate",
    "trained again, finer and at half the rate",
]
"""Action taken after a step was not accepted."""


@dataclasses.dataclass(frozen=True)
class Retry(Typed):
    """The reason why a step was not accepted at first, and the action taken.

    Attributes:
        attempt: Number of this training of the step: 1, 2, ...
        action: Action taken.
        reason: Reason of the rejection, in words.
        step_size: h of that attempt.
        next_step_size: h afterwards: smaller where the step-size rule reduces it.
    """

    attempt: int
    action: Action
    reason: str
    step_size: float
    next_step_size: float

    def __str__(self) -> str:
        reduced = f"; h reduced from {self.step_size:g} to {self.next_step_size:g}"
        return f"{self.action}: {self.reason}" + reduced * (self.next_step_size < self.step_size)


@dataclasses.dataclass(frozen=True)
class StepRecord(Typed):
    """One line of ``steps.jsonl``, measured on held-out particles with the audited map.

    Attributes:
        step: Number of the step: 1, 2, ...
        step_size: h of the step.
        energy: The objective at the new particles.
        energy_change: The objective after the step minus that before it.
        w2_step: Root mean square movement, an upper bound of the Wasserstein distance moved.
        decrease: The subproblem's value at T minus its value at the identity; an exact step makes
            it <= 0 (for jko: energy change + E|y-x|^2/2h).
        decrease_error: Standard error of ``decrease``.
        residual: First-order error of the step by affine test fields (an estimate).
        nll_valid: Mean negative log-likelihood in the data's units, nats; ``None`` without a
            normalised target, or if the start is pushed forward, whose rows are not data.
        likelihood_error: Mean |difference| of log-likelihoods, training grid against audit, nats.
        inversion_error: Root mean square of T^-1(T(x)) - x, on at most 1000 particles.
        retries: How often the step was refined or trained again.
        attempts: Retries with their reasons.
        terms: Value of each summand of the objective, by name.
        loss: The last smoothed training loss.
        iterations: Iterations of the inner solver.
        seconds: Wall-clock time of the step, s.
        cpu_seconds: Processor time of the step, all threads, s.
        stop: The stop rule that this step met, if any.
        plan: Numbers that the scheme planned for the step (a momentum, say).
        refined: Joint iterations of all maps after this step; negative where the guard rejected the
            result.
        time: t after the step, the sum of the step sizes; ``None`` in runs of older versions.
        weights: Relative effective size of the importance weights exp(-V)/rho as far as k-hat is
            trusted, see :func:`wopt.train.measure.trusted_relative_ess` (an estimate); ``None``
            if unknown.
        schedules: Iterations in each hundredth of every schedule of the step that followed the
            clock, which ``solver.recorded`` repeats.
    """

    step: int
    step_size: float
    energy: Number
    energy_change: Number
    w2_step: float
    decrease: Number
    decrease_error: Number
    residual: float | None
    nll_valid: float | None
    likelihood_error: float | None
    inversion_error: float | None
    retries: int
    attempts: tuple[Retry, ...]
    terms: dict[str, Number]
    loss: Number
    iterations: int
    seconds: float
    cpu_seconds: float
    stop: str | None = None
    plan: dict[str, Number] = dataclasses.field(default_factory=dict)
    refined: int = 0
    weights: Number | None = None
    time: float | None = None
    schedules: tuple[tuple[int, ...], ...] = ()
