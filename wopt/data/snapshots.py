"""Populations at several times: what a source of snapshots knows, and what is measured of them."""

from __future__ import annotations

import dataclasses
import itertools

from torch import Tensor

from wopt.errors import DataError
from wopt.typed import Number, Typed

__all__ = ["Clock", "LeftOut", "PopulationsReport", "Snapshots"]


@dataclasses.dataclass(frozen=True)
class Clock:
    """When the steps of a flow begin and end.

    Particles go from a step's begin to its end straight and at one speed, so that within a step

        x_t = x_n + (t - t_n)/(t_{n+1} - t_n) (x_{n+1} - x_n),    v_t = (x_{n+1} - x_n)/(t_{n+1} - t_n),

    displacement interpolation if the step's map is optimal.

    Attributes:
        times: t_0 < t_1 < ... < t_N, those of N steps.

    Example:
        >>> Clock((0.0, 0.5, 2.0)).place(1.25)
        (1, 0.5)
    """  # noqa: E501

    times: tuple[float, ...]

    def place(self, time: float) -> tuple[int, float]:
        """Return in which step a time is (0, 1, ...), and at which share of it.

        Raises:
            DataError: It is before the first or after the last.
        """
        first, last = self.times[0], self.times[-1]
        if not first <= time <= last or len(self.times) < 2:
            raise DataError(
                f"time {time:g} is not in what this run covers, {first:g} to {last:g}; ask for one "
                "in between, or train to a later time"
            )
        step = min(max(sum(t < time for t in self.times) - 1, 0), len(self.times) - 2)
        begin, end = self.times[step : step + 2]
        return step, (time - begin) / (end - begin)


@dataclasses.dataclass(frozen=True)
class Snapshots:
    """Populations that were measured at several times, in the data's units.

    Attributes:
        times: t_0 < t_1 < ...
        rows: Of each time, shape ``(n_k, d)``.
        steps: Steps of the flow from one to the next, equally long in time.
        left_out: Times, with their rows, that nothing is trained on.

    Example:
        >>> import torch
        >>> two = Snapshots((0.0, 2.0), (torch.zeros(3, 1), torch.ones(4, 1)), 4)
        >>> two.clock(3).times, two.before(1.9)[0]
        ((0.0, 0.5, 1.0, 1.5), 0.0)
    """

    times: tuple[float, ...]
    rows: tuple[Tensor, ...]
    steps: int
    left_out: tuple[tuple[float, Tensor], ...] = ()

    def clock(self, blocks: int) -> Clock:
        """Return when the first so many steps begin and end."""
        shares = [k / self.steps for k in range(self.steps)]
        legs = itertools.pairwise(self.times)
        inner = [begin + share * (end - begin) for begin, end in legs for share in shares]
        return Clock((*inner, self.times[-1])[: blocks + 1])

    def before(self, time: float) -> tuple[float, Tensor]:
        """Return the last population at a time or before it; the first where there is none."""
        k = max(sum(t <= time for t in self.times) - 1, 0)
        return self.times[k], self.rows[k]


@dataclasses.dataclass(frozen=True)
class LeftOut(Typed):
    """How far guesses of a left-out population are from it: exact W_1 and W_2, the data's units.

    Attributes:
        time: Of the population.
        cells: Its rows that were compared, at most.
        w1, w2: Of the flow's guess.
        displacement_w1, displacement_w2: Of displacement interpolation by an exact plan between
            the populations before and after.
        before_w1, before_w2, after_w1, after_w2: Of these populations themselves.
        noise_w1, noise_w2: Between two halves of the left-out population: what two draws of one
            law, each of half as many rows, are apart.
    """

    time: Number
    cells: int
    w1: Number
    w2: Number
    displacement_w1: Number
    displacement_w2: Number
    before_w1: Number
    before_w2: Number
    after_w1: Number
    after_w2: Number
    noise_w1: Number
    noise_w2: Number


@dataclasses.dataclass(frozen=True)
class PopulationsReport(Typed):
    """What is measured of a flow through populations.

    Attributes:
        times: Of the populations that it is led to.
        arrival_w2: Exact W_2 of what arrives to each of them but the first, the data's units.
        left_out: Of every population that was left out and that the flow covers.
    """

    times: tuple[Number, ...]
    arrival_w2: tuple[Number, ...]
    left_out: tuple[LeftOut, ...]
