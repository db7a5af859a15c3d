"""The source ``snapshots``: populations measured at several times."""

from __future__ import annotations

import functools
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import AffineTransform, ConfigError, DataError, Dataset, Objective, ProximalScheme
from wopt.component import fields
from wopt.data import (
    Choices,
    Columns,
    File,
    Fractions,
    Key,
    Missing,
    chosen_rows,
    column_names,
    pick_columns,
    read_frame,
    split,
)
from wopt.interfaces import Carry
from wopt_evolution import MeasuredPopulations, PopulationsReport
from wopt_geomloss.populations.arrival import Arrival
from wopt_geomloss.populations.legs import Legs, legs_of
from wopt_geomloss.populations.potential import LearntPotential, taught


@fields
class SnapshotsSource(wopt.Source):
    """Rows of a table with a column of times: populations of different rows, each measured once.

    The flow begins with the rows of the first time and is carried to each later one in turn, by
    ``steps`` steps that are equally long in time. Towards the population k + 1 a step minimises

        G(T_# rho_n, q_{k+1}) + E |T(x) - x|^2 / (2 h_n),

    G the configured objective (``sinkhorn``, ``wasserstein``, ``energy_distance``, ``mmd``) with
    with that population as its target; with the step sizes ``arrival`` this is displacement
    interpolation at constant speed. Or one objective leads through all, ``learnt_potential``, which
    is fitted to them. Within a step particles move on straight lines. So every particle has a
    position and a velocity at every time (``wopt sample RUN --time 1.5``).

    Coordinates are those of the data divided by one number for all columns, the mean deviation, so
    that distances are in proportion. Populations of ``leave_out`` are not used; at the end of the
    run they are predicted by carrying the rows of the time before, and compared, beside exact
    displacement interpolation and the populations before and after (``result.json``, report).

    Populations alone do not determine which row of one became which of the other, how fast they
    moved in between, nor whether rows multiplied: the transport cost, the constant speed and equal
    weights are assumptions about these.

    Source: Tong, Huang, Wolf, van Dijk, Krishnaswamy, *TrajectoryNet*, 2020 (the question);
    docs/theory 5.7.

    Raises:
        DataError: The column is missing, or the rows have fewer than two times.

    Example:
        >>> import pathlib, tempfile
        >>> rows = [f"{day},{day + k / 10}" for day in (0, 1, 2) for k in range(10)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "cells.csv"
        ...     _ = path.write_text(chr(10).join(["day,x", *rows]))
        ...     source = SnapshotsSource(path, time="day", leave_out=[1])
        ...     data, known = source.load(seed=0), source.snapshots()
        >>> len(data.train), known.times, known.left_out[0][0]
        (8, (0.0, 2.0), 1.0)
    """

    cites = ("tong2020",)

    path: File
    time: Annotated[str, Field(description="the column of times, numbers")] = "time"
    key: Key = None
    columns: Columns = None
    nan: Missing = "refuse"
    leave_out: Annotated[
        tuple[float, ...],
        Field(description="times whose rows are not used, but predicted at the end of the run"),
    ] = ()
    steps: Annotated[
        int, Field(ge=1, description="steps of the flow from one population to the next")
    ] = 4
    judged: Annotated[
        int, Field(ge=10, description="most rows of a population that are compared exactly")
    ] = 1000
    split: Fractions = (0.8, 0.1, 0.1)

    def check(self) -> None:
        """Raise for a missing file or column."""
        names = column_names(self.path, self.key)
        pick_columns(names, [self.time, *(self.columns or [])], str(self.path))

    @functools.cached_property
    def _populations(self) -> tuple[tuple[str, ...], dict[float, Tensor]]:
        """Names of columns, and the rows of every time, float64."""
        origin = str(self.path)
        table = read_frame(self.path, self.key)
        names = [name for name in table.column_names if name and name != self.time]
        picked = [names[j] for j in pick_columns(names, self.columns, origin)]
        kinds = {self.time: "continuous"} | dict.fromkeys(picked, "continuous")
        choices = Choices([*picked, self.time], self.nan, kinds=kinds)
        x = chosen_rows(table, choices, origin).x.double()
        times = x[:, -1].unique().tolist()
        absent = [time for time in self.leave_out if time not in times]
        if absent:
            raise DataError(
                f"{origin}: leave_out: there are no rows of time {absent[0]:g}; there are those "
                f"of {', '.join(f'{time:g}' for time in times)}"
            )
        if len(times) < 2 + len(set(self.leave_out)):
            raise DataError(
                f"{origin}: a flow leads from one population to another, and there is "
                f"{len(times) - len(set(self.leave_out))} time to train on; name the column of "
                "times (`time`), or leave out fewer"
            )
        return tuple(picked), {time: x[x[:, -1] == time, :-1] for time in times}

    def snapshots(self) -> MeasuredPopulations:
        """Return the populations."""
        rows = self._populations[1]
        kept = [time for time in rows if time not in self.leave_out]
        left = tuple((time, rows[time]) for time in rows if time in self.leave_out)
        return MeasuredPopulations(tuple(kept), tuple(rows[t] for t in kept), self.steps, left)

    def load(self, seed: int) -> Dataset:
        """Return the rows of the first time, in coordinates of all times that are not left out."""
        found, names = self.snapshots(), self._populations[0]
        pooled = torch.cat(found.rows)
        scale = float(pooled.std(0).mean())
        if not scale > 0:
            raise DataError(f"{self.path}: no column varies, so there is nothing to transport")
        eye = torch.eye(pooled.shape[1], dtype=torch.float64)
        units = AffineTransform(pooled.mean(0), eye / scale, eye * scale)
        train, valid, test = split(found.rows[0], self.split, seed)
        return Dataset(train, valid, test, units, names)

    def aims(self, objective: Objective, scheme: ProximalScheme, dataset: Dataset) -> Objective:
        """Return an objective that leads to each population in turn, or one fitted to all.

        Raises:
            ConfigError: The objective needs more than samples of a target, ``arrival`` has another
                number of steps, or step sizes for a learnt potential are not those of time.
        """
        known, rule = self.snapshots(), scheme.step_size
        rows = [dataset.transform.move(rows) for rows in known.rows]
        if isinstance(objective, LearntPotential):
            return Legs([taught(objective, known, rows, scheme)] * (len(rows) - 1), self.steps)
        if isinstance(rule, Arrival) and rule.steps != self.steps:
            raise ConfigError(
                f"the source makes {self.steps} steps from one population to the next and "
                f"step_size arrival {rule.steps}; give both the same number (steps)"
            )
        return legs_of(objective, rows[1:], self.steps)

    def judge(self, carry: Carry, blocks: int, seed: int) -> PopulationsReport:
        """Return distances of carried rows from each population, and from those left out."""
        from wopt_geomloss.populations.judge import judged_populations

        return judged_populations(self.snapshots(), carry, blocks, self.judged, seed)
