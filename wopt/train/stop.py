"""When steps end: at times that are asked for, and when enough have been made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from wopt.component import Component, fields
from wopt.errors import ConfigError
from wopt.interfaces.scheme import ProximalScheme
from wopt.train.record import StepRecord

_ROUNDING = 1e-6
"""Fraction of a step by which it is lengthened to reach an end, rather than leave a tiny step."""


def elapsed(records: Sequence[StepRecord], *more: float) -> float:
    """Return the sum of the step sizes, rounded once."""
    return math.fsum([*(record.step_size for record in records), *more])


def is_at(time: float, end: float) -> bool:
    """Whether a time is an end, up to rounding."""
    return math.isclose(time, end, rel_tol=1e-9, abs_tol=1e-12)


def landed(h: float, time: float, ends: Sequence[float]) -> float:
    """Return h, shortened where the step would pass the next of the ends.

    Example:
        >>> landed(0.4, 0.8, [0.5, 0.9]), landed(0.4, 0.8, [3.0])
        (0.09999999999999998, 0.4)
    """
    left = min((end - time for end in ends if end > time and not is_at(time, end)), default=None)
    return h if left is None or h * (1 + _ROUNDING) < left else left


def check_times(scheme: ProximalScheme, ends: Sequence[float]) -> None:
    """Raise for a time that a scheme of equal steps cannot end at."""
    if not scheme.equal_steps:
        return
    h = scheme.step_size(0)
    for end in ends:
        if not is_at(round(end / h) * h, end):
            raise ConfigError(
                f"{type(scheme).__name__} needs equal steps, and the time {end:g} is not a "
                f"multiple of h = {h:g}, so a shortened step would have to end there; choose "
                f"scheme.step_size = {end / max(1, round(end / h)):.6g}, or another time"
            )


@fields
class Stop(Component):
    """Ends a run after a number of steps, or before it when nothing more is gained.

    Example:
        >>> Stop(steps=3).steps
        3
    """

    steps: Annotated[
        int | None,
        Field(
            ge=1,
            description="largest number of steps; by default 4, or as many as `time` takes",
        ),
    ] = None
    time: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="stop at this time, the sum of the step sizes; the last step is shortened "
            "to end there",
        ),
    ] = None
    movement: Annotated[
        float | None,
        Field(gt=0, description="stop when E|T(x)-x|^2 of a step falls below this"),
    ] = None
    residual: Annotated[
        float | None,
        Field(
            gt=0,
            description="stop when the movement of a step divided by h falls below this "
            "multiple of its first-order residual, since further steps could not improve the "
            "certificate",
        ),
    ] = None
    challenge: Annotated[
        float | None,
        Field(
            gt=0,
            description="stop when one more step without a transport cost would gain fewer "
            "nats than this on fresh rows",
        ),
    ] = None
    weights: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="stop when the importance weights of the held-out particles have an "
            "effective size of this share, and a tail that k-hat lets trust (a start of known "
            "density, a target's potential)",
        ),
    ] = None
    nll_patience: Annotated[
        int | None,
        Field(
            ge=1,
            description="stop after this many steps without improvement of the negative "
            "log-likelihood (NLL) of held-out rows",
        ),
    ] = None
    nll_tolerance: Annotated[
        float,
        Field(ge=0, description="smallest fall of the NLL that counts as an improvement, in nats"),
    ] = 1e-3

    @property
    def most(self) -> float:
        """The largest number of steps; infinite where a time ends the run."""
        if self.steps is not None:
            return self.steps
        return 4 if self.time is None else math.inf

    def reason(self, records: Sequence[StepRecord]) -> str | None:
        """Return why to stop after these steps, or ``None`` to go on."""
        if not records:
            return None
        last = records[-1]
        if self.movement is not None and last.w2_step**2 < self.movement:
            return f"the particles moved by {last.w2_step**2:.3g} < {self.movement:g} (mean square)"
        if self.residual is not None and last.residual is not None:
            speed = last.w2_step / last.step_size
            if speed <= self.residual * last.residual:
                return (
                    f"the movement per h, {speed:.3g}, fell to {self.residual:g} times the "
                    f"residual, {last.residual:.3g} (estimate): train the steps better to go on"
                )
        if self.weights is not None and last.weights is not None and last.weights >= self.weights:
            return (
                f"the importance weights have an effective size of {100 * last.weights:.1f} % "
                "(estimate), so little is left to gain"
            )
        if self.nll_patience is not None and len(records) > self.nll_patience:
            values = [r.nll_valid for r in records]
            if None not in values:
                known = [v for v in values if v is not None]
                recent = known[-self.nll_patience :]
                if min(recent) > min(known[: -self.nll_patience]) - self.nll_tolerance:
                    return (
                        f"the held-out NLL did not fall by {self.nll_tolerance:g} "
                        f"in {self.nll_patience} step(s)"
                    )
        if self.time is not None and last.time is not None and is_at(last.time, self.time):
            return f"the time {self.time:g} is reached"
        if last.step >= self.most:
            return f"all {self.most} steps are made" if self.most > 1 else "the one step is made"
        return None
