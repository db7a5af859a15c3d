"""Dataset: the splits of a source, its preprocessing, and smoothing that gives a density."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from wopt.data.column import Derived
from wopt.data.refusals import split_ends
from wopt.data.transform import AffineTransform
from wopt.errors import DataError
from wopt.memory import PIECE
from wopt.particles import split_conditions
from wopt.reading import listed
from wopt.seeds import generator


@dataclasses.dataclass(frozen=True)
class TableFacts:
    """What was read of a table and what was left out.

    Attributes:
        rows: Number of rows that were read.
        left: Columns that are not modelled, with the reasons; samples have them all the same.
        converted: Names of columns that are numbers here, with what they count.
        dropped: Number of rows that ``nan = "drop"`` left out.
        notes: Sentences on what else people should know.
    """

    rows: int
    left: tuple[Derived, ...] = ()
    converted: tuple[tuple[str, str], ...] = ()
    dropped: int = 0
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return what was left out, converted and dropped.

        Example:
            >>> TableFacts(10, converted=(("day", "days"),), dropped=2).summary()
            'converted: day (days); 2 rows with a missing value left out'
        """
        left = [(one.column.name, one.why) for one in self.left]
        parts = [
            f"{what}: {listed([f'{name} ({why})' for name, why in pairs])}"
            for what, pairs in (("put back into samples", left), ("converted", [*self.converted]))
            if pairs
        ]
        if self.dropped:
            parts.append(f"{self.dropped} rows with a missing value left out")
        return "; ".join([*parts, *self.notes])

    def lines(self) -> list[str]:
        """Return sentences for people, one a line.

        Example:
            >>> TableFacts(10, dropped=2).lines()
            ['2 of 10 rows have a missing value and are left out']
        """
        lines = [f"column {one.column.name} is not modelled: it {one.why}" for one in self.left]
        lines += [f"column {name} is converted to {what}" for name, what in self.converted]
        if self.dropped:
            some = f"{self.dropped} of {self.rows} rows have a missing value and are left out"
            lines.append(some)
        return [*lines, *self.notes]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Data of a source in their own units, float64 on the CPU.

    Attributes:
        train, valid, test: Disjoint splits, shapes ``(n, d + k)``, conditions last; float32 if they
            come from a file of it.
        transform: The preprocessing to the coordinates in which the flow works.
        names: The columns' names.
        log_density: The exact log-density in the data's units, ``(n, d)`` to ``(n,)``, nats, if
            known.
        entropy: The exact entropy in nats, if known: a lower bound of any model's NLL.
        sample: Draws fresh rows from that density: a number and a generator to ``(n, d)``.
        condition: Number k of columns, the last ones, that are conditions of the model.
        images: Turns rows into pictures, ``(n, d)`` to ``(n, height, width)``, for rows of pixels.
        groups: A number for each row of train, valid and test, shapes ``(n,)``, where the source
            knows that rows with one number depend on each other (patches that overlap, say):
            standard errors and limits then count groups. ``None`` for independent rows.
        weights: Weights of the training and the validation rows, shapes ``(n,)``, summing to one,
            if these are nodes of a quadrature rule.
        cell: The width of the cells over which noise has spread values on a grid, if it is the same
            for every column, else ``None``.
        published: Published results on such data, bits per dimension, by name.
        table: What was read of a table, for data that come from one.
        shared: Number of training rows over all processes if ``train`` holds this process's alone
            (``run.hold``); ``None`` if it holds all.
    """

    train: Tensor
    valid: Tensor
    test: Tensor
    transform: AffineTransform
    names: tuple[str, ...]
    log_density: Callable[[Tensor], Tensor] | None = None
    entropy: float | None = None
    sample: Callable[[int, torch.Generator], Tensor] | None = None
    images: Callable[[Tensor], Tensor] | None = None
    condition: int = 0
    groups: tuple[Tensor, Tensor, Tensor] | None = None
    weights: tuple[Tensor, Tensor] | None = None
    cell: float | None = None
    published: Mapping[str, float] | None = None
    shared: int | None = None
    table: TableFacts | None = None

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} + {len(self.valid)} + {len(self.test)} rows"
        known = "known" if self.log_density is not None else "unknown"
        return f"Dataset({sizes} of {', '.join(self.names[:8])}; density {known})"

    @property
    def dim(self) -> int:
        """Number of columns, conditions included."""
        return self.train.shape[1]

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return what is modelled of rows, shape ``(n, d)``, and conditions, ``(n, k)``, if any."""
        return split_conditions(rows, self.condition)


def split(x: Tensor, fractions: Sequence[float], seed: int) -> tuple[Tensor, ...]:
    """Shuffle the rows and cut them into parts, shapes ``(n_k, d)``.

    Args:
        x: Rows, shape ``(n, d)``.
        fractions: Fractions of the rows in each part, train first; they sum to one.

    Raises:
        DataError: A part would be empty.

    Example:
        >>> parts = split(torch.arange(10.0)[:, None], (0.8, 0.1, 0.1), seed=0)
        >>> [len(part) for part in parts]
        [8, 1, 1]
    """
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    ends = split_ends(len(x), fractions)
    return tuple(x[rows] for rows in torch.tensor_split(order, ends))


def subsample_eval(dataset: Dataset, rows: int | None, seed: int) -> Dataset:
    """Return a dataset with at most so many held-out and test rows, float64, chosen by the seed."""
    valid, test, groups = dataset.valid, dataset.test, dataset.groups
    if rows is not None and max(len(valid), len(test)) > rows:
        rng = torch.Generator().manual_seed(seed)
        at = [torch.randperm(len(x), generator=rng)[:rows].sort().values for x in (valid, test)]
        test = test[at[1]]
        if dataset.weights is None:  # part of a quadrature rule is not a rule
            valid = valid[at[0]]
            groups = groups and (groups[0], groups[1][at[0]], groups[2][at[1]])
    valid, test = valid.double(), test.double()
    return dataclasses.replace(dataset, valid=valid, test=test, groups=groups)


def check_finite(x: Tensor, names: tuple[str, ...], where: str) -> None:
    """Raise if rows, shape ``(n, d)``, have a NaN or infinite value."""
    if all(bool(part.sum().isfinite()) for part in x.split(PIECE)):
        return  # what is not finite would show in a sum
    bad = ~torch.isfinite(x)
    if bad.any():
        rows = bad.any(1).nonzero()[:, 0].tolist()
        columns = [names[j] for j in bad.any(0).nonzero()[:, 0].tolist()]
        raise DataError(
            f"{where}: {len(rows)} of {len(x)} rows have a NaN or infinite value, first in row(s) "
            f"{', '.join(str(r) for r in rows[:3])}, column(s) {', '.join(columns[:5])}; "
            'clean the data, choose other columns, drop these rows with `source.nan = "drop"`, or, '
            'where they are conditions alone, keep them with `source.nan = "mask"`'
        )


def smoothed(z: Tensor, time: float, rng: torch.Generator) -> Tensor:
    """Return  e^-t z + (1 - e^-2t)^1/2 xi,  xi ~ N(0, I): the process at time t, exactly.

    Args:
        z: Rows in the flow's coordinates, shape ``(n, d)``.

    Source: docs/theory 1.8.

    Example:
        >>> point = torch.ones(20_000, 1, dtype=torch.float64)
        >>> x = smoothed(point, 0.1, torch.Generator().manual_seed(0))
        >>> abs(float(x.mean()) - 0.9048) < 0.01, abs(float(x.var()) - 0.1813) < 0.01
        (True, True)
    """
    xi = torch.randn(z.shape, generator=rng, dtype=z.dtype)
    return math.exp(-time) * z + math.sqrt(-math.expm1(-2 * time)) * xi


def smooth_dataset(dataset: Dataset, time: float, seed: int) -> Dataset:
    """Return the dataset with smoothed rows, each by one fixed draw.

    Smoothing is done in the flow's coordinates, after the preprocessing. The exact density and
    entropy are dropped; a time of 0 changes nothing.
    """
    if time == 0:
        return dataset
    transform, draw = dataset.transform, dataset.sample

    def rows(x: Tensor, rng: torch.Generator) -> Tensor:
        """Return smoothed rows, shape ``(n, d)``."""
        return transform.inverse(smoothed(transform.move(x), time, rng))[0]

    def sample(n: int, rng: torch.Generator) -> Tensor:
        """Return smoothed draws, shape ``(n, d)``."""
        assert draw is not None
        return rows(draw(n, rng), rng)

    return dataclasses.replace(
        dataset,
        train=rows(dataset.train, generator(seed, "smooth", "train")),
        valid=rows(dataset.valid, generator(seed, "smooth", "valid")),
        test=rows(dataset.test, generator(seed, "smooth", "test")),
        log_density=None,
        entropy=None,
        sample=sample if draw else None,
    )
