"""Facts of the data that the planner's rules read."""

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
"""Default budget, in CPU seconds."""

_ASKED = 4000
"""Rows from which on :func:`blurring` is measured for a plane: fewer gain by noise."""

_ROWS, _NEIGHBOURS = 1500, 12_000
"""Rows whose nearest neighbour :func:`crowding` finds, and the rows among which it looks: with
fewer candidates the estimate varies too much between splits (docs/benchmarks.md)."""

_SINGULAR = 1e-10
"""Least eigenvalue of the correlation matrix of linearly independent columns."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts of the data, from which rules choose.

    Attributes:
        rows: Number of training rows.
        held_out: Number of rows that stop training and accept steps.
        columns: Number of columns that are modelled.
        conditions: Number of columns that the others are conditioned on.
        kind: Two columns, more, images, with conditions; or a start of known density that is to
            be carried to samples of a target or to a target known by its potential.
        crowding: :func:`crowding` of the training rows in the flow's coordinates.
        repeated: For every modelled column the fraction of rows whose value occurs before.
        curves: Number of columns that a curve makes nearly normal.
        edges: Cost of noise of 0.2 for the columns' own laws, in nats; see :func:`edges`.
        blurring: Cost of noise for a plane of 4,000 rows or more, in nats; see :func:`blurring`.
        mode_separation: Estimated fraction of a target's mass outside its largest mode; 0 where not
            measured.
        dependent: Whether columns are linear functions of others: such rows have no density.
        budget: CPU seconds of training.
        seed: Seed of the random numbers.

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
    mode_separation: float = 0.0
    dependent: bool = False
    budget: float = BUDGET
    seed: int = 0

    @property
    def small(self) -> bool:
        """Whether the number of rows limits the nets more than the time does."""
        return self.rows < 5000

    @property
    def smooth(self) -> bool:
        """Whether rows are as far apart as a Gaussian's, and no column has few values.

        Noise then regularises; where rows crowd or values repeat it costs likelihood.
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
    """Return the facts of a loaded dataset.

    Args:
        dataset: The splits and their preprocessing.
        budget: CPU seconds; 60 by default.
        role: ``"data"``, or ``"start"`` if the rows are to be carried to a target.
        posterior: Whether that target is known by its potential.
        seed: Seed of the random numbers.

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
    # Crowding is measured without curves, which spread crowded rows out and hide it.
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
        dataset: A dataset preprocessed by ``gaussianise``.
    """
    columns = dataset.transform.columns or Columns.on_the_line(dataset.names, dataset.condition)
    return fit_transform(dataset.train, "whiten", columns.straight())


def crowding(z: Tensor, seed: int = 0) -> float:
    """Return the median distance to the nearest row, over that of a Gaussian of the same shape.

    It is one for a Gaussian, and well below one where rows crowd: on lines and surfaces, in spikes,
    in the middle of heavy tails. Both medians are over the first 1,500 rows.

    Args:
        z: Rows in the flow's coordinates, at most some 12,000, shape ``(n, d)``.
        seed: Seed of the Gaussian rows.

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

    Columns that depend on each other less closely are whitened.

    Args:
        x: Untransformed rows, shape ``(n, d)``, n larger than d.

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
