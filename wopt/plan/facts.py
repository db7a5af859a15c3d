"""What the planner knows of a problem before it is solved, and what noise would cost there."""

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
from wopt.seeds import generator
from wopt.statistics import some

__all__ = [
    "Facts",
    "Kind",
    "blurring",
    "crowding",
    "dependent",
    "edges",
    "facts_of",
    "noise_of_plane",
    "straight",
]

_ROWS_OF_PLANE, _JUDGES = 4000, 1000
"""Rows with a kernel each, and the rows among them at which the estimate is evaluated."""

_NEIGHBOUR = 10
_SHARES = (0.5, 0.7, 1.0, 1.4)
"""Widths of kernels, in distances to a row's tenth neighbour."""

_LEAST = 1e-6
"""Least width as a fraction of the largest distance: where rows are equal a kernel has a width."""


def noise_of_plane(rows: int) -> float:
    """Return the noise, in standard deviations, for training a plane on so many rows.

    It is 0.03 at 4,000 rows and falls with their fourth root; 0.02 from 8,000, none from 12,000 on.

    Example:
        >>> [noise_of_plane(n) for n in (1000, 4000, 8000, 12_000)]
        [0.042, 0.03, 0.02, 0.0]
    """
    if rows >= 12_000:
        return 0.0
    return 0.02 if rows >= 8000 else round(0.03 * (4000 / rows) ** 0.25, 3)


def blurring(z: Tensor, noise: float) -> float:
    """Return the nats that noise costs a kernel density estimate at the scale of the rows.

    Every row has a Gaussian kernel, as wide as c times the distance r_i to its tenth neighbour,
    with or without noise s added; the estimate leaves out the row at which it is evaluated:

        max_c E log p_(c r) - max_c E log p_(sqrt(c^2 r^2 + s^2)).

    It is near zero where the law is smooth at the scale of the noise.

    Args:
        z: Rows in random order, in the flow's coordinates, shape ``(n, d)``.
        noise: s, in standard deviations.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> flat = torch.randn(4000, 2, generator=rng)
        >>> line = torch.stack([flat[:, 0], flat[:, 0].sin() + 0.01 * flat[:, 1]], dim=1)
        >>> blurring(flat, 0.03) < 0.01, blurring(line, 0.03) > 0.05
        (True, True)
    """
    z = z[:_ROWS_OF_PLANE].float()
    if len(z) < 5 * _NEIGHBOUR or not bool((z != z[0]).any()):
        return 0.0
    near = [torch.cdist(r, z).topk(_NEIGHBOUR + 1, largest=False).values for r in z.split(1000)]
    reach = torch.cat(near)[:, -1]
    judges = z[:_JUDGES]
    squares = torch.cdist(judges, z).square().fill_diagonal_(math.inf)
    reach = reach.clamp_min(float(reach.max()) * _LEAST)

    def best(added: float) -> float:
        values = []
        for fraction in _SHARES:
            width = ((fraction * reach).square() + added**2).sqrt()
            logs = -squares / (2 * width.square()) - z.shape[1] * width.log()
            values.append(float(logs.logsumexp(1).mean()))
        return max(values)

    return best(0.0) - best(noise)


_WIDTHS = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
"""Widths of kernels, in standard deviations of a column; the last is the noise considered."""

_ROWS_OF_EDGES = 1000
"""Rows at most: kernels at one half are evaluated at the other."""


def edges(x: Tensor) -> float:
    """Return the nats that noise of 0.2 standard deviations costs, summed over columns.

    The density of each column is estimated by Gaussian kernels at one half of the rows and
    evaluated on the other half,

        max_w E log p_w - E log p_0.2 >= 0,

    with widths w up to 0.2 standard deviations. Where the law is smooth the widest is the best and
    nothing is lost.

    Args:
        x: Rows in random order, each column on the line, shape ``(n, d)``.

    Example:
        >>> import torch
        >>> rng = torch.Generator().manual_seed(0)
        >>> normal, uniform = (f(1000, 3, generator=rng) for f in (torch.randn, torch.rand))
        >>> edges(normal) < 0.02, 0.05 < edges(uniform) < 0.16
        (True, True)
    """
    x = x[:_ROWS_OF_EDGES].double()
    half = len(x) // 2
    if half < 50:
        return 0.0
    z = (x - x.mean(0)) / x.std(0).clamp_min(1e-300)
    return sum(_lost(column[:half], column[half:]) for column in z.T)


def _lost(known: Tensor, judges: Tensor) -> float:
    squares = (judges[:, None] - known).square()
    values = [float(_log_mean(squares, width)) for width in _WIDTHS]
    return max(values) - values[-1]


def _log_mean(squares: Tensor, width: float) -> Tensor:
    """Return the mean log-density under kernels, up to terms that all widths share."""
    kernels = (-squares / (2 * width**2)).exp().mean(1) / width
    # The floor stops a single row far from all others from deciding the mean.
    return kernels.clamp_min(1e-6 / math.sqrt(2 * math.pi)).log().mean()


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
        crowding=crowding(transform.move(few[:_NEIGHBOURS])[:, :moved], seed),
        repeated=tuple(1 - len(few[:, j].unique()) / len(few) for j in range(moved)),
        curves=curves,
        edges=edges(line[:, :moved]),
        blurring=blurring(transform.move(few)[:, :moved], noise) if noise else 0.0,
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
