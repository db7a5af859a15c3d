"""The source of scikit-learn's bundled data sets."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from wopt import Dataset, Source
from wopt.data.assemble import check_context, from_rows
from wopt.data.tables import pick_columns
from wopt_measures.options import Columns, Context, Dequantise, Fractions, Preprocess

__all__ = ["SklearnSource"]


class SklearnSource(Source):
    """The data matrix of a set that comes with scikit-learn; nothing is downloaded.

    The sets' values are rounded, some to few levels (the grey levels of ``digits``, counts in
    ``linnerud``): ``dequantise`` gives these a density, and without it a likelihood has no
    ceiling. In ``digits`` three pixels never vary, so it needs ``dequantise = 1`` or ``columns``.

    Raises:
        DataError: A column is unknown or constant, or a split would be empty.

    Example:
        >>> data = SklearnSource("wine", columns=["alcohol", "magnesium"]).load(seed=0)
        >>> tuple(data.train.shape), data.names
        ((142, 2), ('alcohol', 'magnesium'))
    """

    def __init__(
        self,
        dataset: Annotated[
            Literal["breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine"],
            Field(description="which of the sets bundled with scikit-learn"),
        ] = "iris",
        columns: Columns = None,
        split: Fractions = (0.8, 0.1, 0.1),
        preprocess: Preprocess = "whiten",
        dequantise: Dequantise = 0.0,
        context: Context = None,
    ) -> None:
        self.dataset = dataset
        self.columns = columns
        self.split = split
        self.preprocess = preprocess
        self.dequantise = dequantise
        self.given = context

    def _table(self) -> tuple[torch.Tensor, tuple[str, ...]]:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{self.dataset}")()
        names = tuple(str(name) for name in bunch.feature_names)
        chosen = pick_columns(names, self.columns, f"data set {self.dataset}")
        x = torch.tensor(bunch.data, dtype=torch.float64)
        return x[:, chosen], tuple(names[j] for j in chosen)

    def check(self) -> None:
        """Raise for a missing column."""
        if self.columns is not None or self.given is not None:
            check_context(self._table()[1], self.given)

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed."""
        x, names = self._table()
        return from_rows(x, names, self.split, self.preprocess, self.dequantise, seed, self.given)
