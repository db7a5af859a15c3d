"""Populations at several times: the data of a source of snapshots, and their measurements."""

from __future__ import annotations

import dataclasses
import itertools

from torch import Tensor

from wopt.errors import DataError
from wopt.typed import Number, Typed


@dataclasses.dataclass(frozen=True)
class EvolutionClock:
    """Times at which the steps of a flow begin and end.

    Particles move straight and at constant speed within a step,

        x_t = x_n + (t - t_n)/(t_{n+1} - t_n) (x_{n+1} - x_n),    v_t = (x_{n+1} - x_n)/(t_{n+1} - t_n),

    which is displacement interpolation if the step's map is optimal.

    Attributes:
        times: t_0 < t_1 < ... < t_N, for N steps.

    Example:
        >>> EvolutionClock((0.0, 0.5, 2.0)).place(1.25)
        (1, 0.5)
    """  # noqa: E501

    times: tuple[float, ...]

    def place(self, time: float) -> tuple[int, float]:
        """Return the step that contains a time (0, 1, ...), and the fraction of it that has passed.

        Raises:
            DataError: The time is before the first or after the last.
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
class MeasuredPopulations:
    """Populations that were measured at several times, in the data's units.

    Attributes:
        times: t_0 < t_1 < ..., at which the populations were measured.
        rows: Rows at each time, shape ``(n_k, d)``.
        steps: Steps of the flow from one time to the next, of equal duration.
        left_out: Times with their rows that are not used for training.

    Example:
        >>> import torch
        >>> two = MeasuredPopulations((0.0, 2.0), (torch.zeros(3, 1), torch.ones(4, 1)), 4)
        >>> two.clock(3).times, two.before(1.9)[0]
        ((0.0, 0.5, 1.0, 1.5), 0.0)
    """

    times: tuple[float, ...]
    rows: tuple[Tensor, ...]
    steps: int
    left_out: tuple[tuple[float, Tensor], ...] = ()

    def clock(self, blocks: int) -> EvolutionClock:
        """Return the times at which the first ``blocks`` steps begin and end."""
        shares = [k / self.steps for k in range(self.steps)]
        legs = itertools.pairwise(self.times)
        inner = [begin + fraction * (end - begin) for begin, end in legs for fraction in shares]
        return EvolutionClock((*inner, self.times[-1])[: blocks + 1])

    def before(self, time: float) -> tuple[float, Tensor]:
        """Return the last time up to ``time``, or the first, and its population ``(n, d)``."""
        k = max(sum(t <= time for t in self.times) - 1, 0)
        return self.times[k], self.rows[k]


@dataclasses.dataclass(frozen=True)
class LeftOut(Typed):
    """Distances of predictions from a left-out population: exact W_1 and W_2, the data's units.

    Attributes:
        time: Time of the population.
        cells: Largest number of rows compared.
        w1, w2: Distances of the flow's prediction.
        displacement_w1, displacement_w2: Distances of displacement interpolation by an exact plan
            between the populations before and after.
        before_w1, before_w2, after_w1, after_w2: Distances of these two populations themselves.
        noise_w1, noise_w2: Distances between two halves of the left-out population: the noise of
            samples of half the size.
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
    """Measurements of a flow through populations.

    Attributes:
        times: Times of the populations used for training.
        arrival_w2: Exact W_2 between particles on arrival and each population but the first, the
            data's units.
        left_out: Distances for each left-out population within the time of the flow.
    """

    times: tuple[Number, ...]
    arrival_w2: tuple[Number, ...]
    left_out: tuple[LeftOut, ...]
