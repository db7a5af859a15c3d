"""What the planner knows of a problem before it is solved."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.dataset import Dataset
from wopt.data.table_transform import fit_transform
from wopt.data.transform import AffineTransform
from wopt.plan.blurring import blurring, noise_of_plane
from wopt.plan.edges import edges
from wopt.seeds import generator
from wopt.statistics import some

__all__ = ["Facts", "Kind", "crowding", "dependent", "facts_of", "straight"]

Kind = Literal["plane", "table", "image", "conditional", "density_known", "posterior"]

BUDGET = 60.0
"""CPU seconds, where no budget is given."""

_ASKED = 4000
"""Rows from which on a plane is asked whether noise would blur it: fewer gain by noise."""

_ROWS, _NEIGHBOURS = 1500, 12_000
"""Rows whose neighbours :func:`crowding` looks for, and among how many: 0.3 to 0.5 CPU seconds.
A thick sphere in four columns (five splits of 12,000 rows) came to 0.79 to 0.82 among 1,500 and to
0.75 to 0.80 among 4,000, so that its nets were a matter of chance, and lost 0.3 to NSF; to 0.73 to
0.76 among all. Rows that do not crowd are at 0.83 and more."""

_SINGULAR = 1e-10
"""Least eigenvalue of a correlation matrix of columns that can be told apart."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts of the data, from which rules choose.

    Attributes:
        rows: Training rows.
        held_out: Rows that stop training and accept steps.
        columns: Columns that are modelled.
        conditions: Columns that the others are conditioned on.
        kind: What the data are: two columns, more, pictures, with conditions, or a start of known
            density that is to be carried to a target, or to one known by its potential.
        crowding: Of the training rows in the flow's coordinates, see :func:`crowding`.
        dependent: Whether columns are linear functions of others: such rows have no density.
        repeated: For every column that is modelled the share of rows whose value occurs before.
        curves: How many columns are made nearly normal by a curve.
        apart: Of a target, the share of its mass in modes but the largest, as few chains tell it;
            0 where nobody looked.
        edges: What noise of 0.2 would cost the columns' own laws, nats; see :func:`edges`.
        blurring: What noise would cost a plane of 4,000 rows or more, nats; see
            :func:`blurring`.
        budget: CPU seconds of training.
        seed: Of the random numbers; the same seed gives the same run.

    Example:
        >>> Facts(rows=15_216, held_out=1_902, columns=10).kind
        'table'
    """

    rows: int
    held_out: int
    columns: int
    conditions: int = 0
    kind: Kind = "table"
    crowding: float = 1.0
    repeated: tuple[float, ...] = ()
    curves: int = 0
    edges: float = 0.0
    blurring: float = 0.0
    apart: float = 0.0
    dependent: bool = False
    budget: float = BUDGET
    seed: int = 0

    @property
    def small(self) -> bool:
        """Whether nets have more to fear from few rows than from little time."""
        return self.rows < 5000

    @property
    def smooth(self) -> bool:
        """Whether rows keep the distance of a Gaussian's, and no column has few values.

        Noise then regularises. With the same nets and iterations, noise of 0.2 gains 0.3 nats on
        360 rows of a mixture of factor models (crowding 0.84) and 0.1 on 2,500 cells of the EMT
        (0.85); it costs 0.6 on MiniBooNE (0.74, in 0.85 of the iterations), and on MAGIC (0.57)
        noise of 0.03 costs 0.3.
        """
        return self.crowding > 0.8 and not self.discrete

    @property
    def discrete(self) -> bool:
        """Whether nine values of ten in some column occur before: such rows have no density."""
        return max(self.repeated, default=0.0) > 0.9


def facts_of(
    dataset: Dataset,
    budget: float | None = None,
    *,
    role: Literal["data", "start"] = "data",
    posterior: bool = False,
    seed: int = 0,
) -> Facts:
    """Return the facts of what a source loaded.

    Args:
        dataset: The splits and their preprocessing.
        budget: CPU seconds; 60 where none is given.
        role: Of the source: data, or a start that is to be carried to a target.
        posterior: Whether that target is known by its potential.
        seed: Of the random numbers; the same seed gives the same run.

    Example:
        >>> import wopt
        >>> data = wopt.build("source", {"name": "toy", "shape": "moons", "n_train": 500}).load(0)
        >>> facts = facts_of(data)
        >>> facts.kind, facts.rows, facts.repeated
        ('plane', 500, (0.0, 0.0))
    """
    moved = dataset.dim - dataset.condition
    order = torch.randperm(len(dataset.train), generator=generator(seed, "plan"))
    few = dataset.train[order[: 10 * _ROWS]]
    columns = dataset.transform.columns
    line = few if columns is None else columns.encode(few.double())
    # Curves spread rows out that crowd all the same: mixed marginals (0.71, with curves 0.86), 60
    # CPU s with curves: nets for tables 6.37, those for rows that are spread out 6.63, MAF 6.46.
    curves = 0 if columns is None else columns.curves
    transform = straight(dataset) if curves else dataset.transform
    kind: Kind = "posterior" if posterior else _kind(dataset, moved, role)
    asked = kind == "plane" and len(dataset.train) >= _ASKED
    noise = noise_of_plane(len(dataset.train)) if asked else 0.0
    return Facts(
        rows=len(dataset.train),
        held_out=len(dataset.valid),
        columns=moved,
        conditions=dataset.condition,
        kind=kind,
        crowding=crowding(transform(few[:_NEIGHBOURS])[:, :moved], seed),
        repeated=tuple(1 - len(few[:, j].unique()) / len(few) for j in range(moved)),
        curves=curves,
        edges=edges(line[:, :moved]),
        blurring=blurring(transform(few)[:, :moved], noise) if noise else 0.0,
        dependent=len(few) > 3 * moved > 3 and dependent(few[:, :moved]),
        budget=BUDGET if budget is None else budget,
        seed=seed,
    )


def straight(dataset: Dataset) -> AffineTransform:
    """Return the preprocessing without curves: whitening.

    Args:
        dataset: Preprocessed by ``gaussianise``.
    """
    columns = dataset.transform.columns or Columns.on_the_line(dataset.names, dataset.condition)
    return fit_transform(dataset.train, "whiten", columns.straight())


def crowding(z: Tensor, seed: int = 0) -> float:
    """Return the median distance to the nearest row, over that of a Gaussian of the same shape.

    One for a Gaussian; well below one where rows crowd: on lines and surfaces, in spikes, in the
    middle of heavy tails. Both are measured on as many rows, the distances of the first 1,500.

    Args:
        z: Rows in the flow's coordinates, at most some 12,000, shape ``(n, d)``.
        seed: Of the Gaussian rows.

    Example:
        >>> z = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
        >>> surface = torch.cat([z[:, :2], z[:, :2].square() - 1], dim=1)
        >>> 0.9 < crowding(z) < 1.1, crowding(surface) < 0.5
        (True, True)
    """
    if len(z) < 3:
        return 1.0
    like = torch.randn(z.shape, generator=generator(seed, "plan", "crowding"), dtype=torch.float64)
    distance, expected = (_nearest(x.double()) for x in (z, like))
    return distance / expected if expected > 0 else 1.0


def dependent(x: Tensor) -> bool:
    """Return whether columns depend on each other linearly, to a part in 100,000 of a deviation.

    Columns that nearly do are whitened: of 3,000 rows of eleven columns, of which three are sums of
    others with noise of 1e-4 and 1e-3, a Gaussian reaches -9.4, nets on standardised ones 10.1.

    Args:
        x: Rows as they are, shape ``(n, d)``, n larger than d.

    Example:
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> dependent(x), dependent(torch.cat([x, x.sum(1, keepdim=True)], dim=1))
        (False, True)
    """
    x = some(x).double()
    scale = x.std(0)
    if not bool((scale > 0).all()):
        return True
    correlation = torch.cov(((x - x.mean(0)) / scale).T).reshape(2 * x.shape[1:])
    return float(torch.linalg.eigvalsh(correlation)[0]) < _SINGULAR


def _kind(dataset: Dataset, moved: int, role: str) -> Kind:
    if role == "start":
        return "density_known"
    if dataset.condition:
        return "conditional"
    if dataset.images is not None:
        return "image"
    return "plane" if moved <= 2 else "table"


def _nearest(z: Tensor) -> float:
    distances = torch.cdist(z[:_ROWS], z).fill_diagonal_(math.inf)
    return float(distances.min(1).values.median())
