"""What the planner knows of a problem before it is solved: sizes and kinds, nothing of its law."""

from __future__ import annotations

import dataclasses
from typing import Literal

from wopt.data.dataset import Dataset

BUDGET = 60.0
"""Default budget, in CPU seconds."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts of the data that hold whatever their law is.

    Attributes:
        rows: Number of training rows.
        held_out: Number of rows that stop training, choose candidates and accept steps.
        columns: Number of columns that are modelled.
        conditions: Number of columns that the others are conditioned on.
        pictures: Whether rows are pictures.
        discrete: Number of modelled columns of whole numbers or categories.
        gradient: Whether the rows are a start of known density, which has a gradient.
        budget: CPU seconds of training.

    Example:
        >>> Facts(rows=15_216, held_out=1_902, columns=10).budget
        60.0
    """

    rows: int
    held_out: int
    columns: int
    conditions: int = 0
    pictures: bool = False
    discrete: int = 0
    gradient: bool = False
    budget: float = BUDGET


def facts_of(
    dataset: Dataset, budget: float | None = None, *, role: Literal["data", "start"] = "data"
) -> Facts:
    """Return the facts of a loaded dataset.

    Args:
        dataset: The splits and their preprocessing.
        budget: CPU seconds; 60 by default.
        role: ``"data"``, or ``"start"`` if the rows are to be carried to a target.

    Example:
        >>> import wopt
        >>> data = wopt.build("source", {"name": "toy", "shape": "moons", "n_train": 500}).load(0)
        >>> facts = facts_of(data)
        >>> facts.rows, facts.columns, facts.gradient
        (500, 2, False)
    """
    columns = dataset.transform.columns
    kinds = () if columns is None else tuple(column.kind for column in columns.moved)
    return Facts(
        rows=len(dataset.train),
        held_out=len(dataset.valid),
        columns=dataset.dim - dataset.condition,
        conditions=dataset.condition,
        pictures=dataset.images is not None,
        discrete=sum(kind != "continuous" for kind in kinds),
        gradient=role == "start",
        budget=BUDGET if budget is None else budget,
    )
