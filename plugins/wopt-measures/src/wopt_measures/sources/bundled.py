"""The source of scikit-learn's bundled data sets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from wopt import Dataset, Source
from wopt.data import (
    Choices,
    Columns,
    Context,
    Dequantise,
    Fractions,
    Preprocess,
    Support,
    from_table,
)


class SklearnSource(Source):
    """The data matrix of a data set bundled with scikit-learn; nothing is downloaded.

    The sets' values are rounded, some to few levels (the grey levels of ``digits``, counts in
    ``linnerud``): ``dequantise`` gives these a density; without it a likelihood has no upper bound.
    In ``digits`` three pixels never vary, so it needs ``dequantise = 1`` or ``columns``.

    Raises:
        DataError: A column is unknown or constant, or a split would be empty.

    Example:
        >>> data = SklearnSource("wine", columns=["alcohol", "magnesium"]).load(seed=0)
        >>> tuple(data.train.shape), data.names
        ((142, 2), ('alcohol', 'magnesium'))
    """

    cites = ("pedregosa2011",)

    def __init__(
        self,
        dataset: Annotated[
            Literal["breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine"],
            Field(description="which of the data sets bundled with scikit-learn"),
        ] = "iris",
        columns: Columns = None,
        split: Fractions = (0.8, 0.1, 0.1),
        preprocess: Preprocess = "whiten",
        dequantise: Dequantise = 0.0,
        context: Context = None,
        support: Support = None,
    ) -> None:
        self.dataset = dataset
        self.split = split
        self.preprocess = preprocess
        self.choices = Choices(columns, "refuse", context, dequantise, None, support)

    def _table(self) -> Any:
        import pyarrow
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{self.dataset}")()
        names = [str(name) for name in bunch.feature_names]
        return pyarrow.table({name: bunch.data[:, j].copy() for j, name in enumerate(names)})

    def check(self) -> None:
        """Raise if a column is missing."""
        self.choices.check(self._table().column_names, f"data set {self.dataset}")

    def load(self, seed: int) -> Dataset:
        """Return the data, the same for the same seed."""
        origin = f"data set {self.dataset}"
        return from_table(self._table(), self.choices, self.split, self.preprocess, seed, origin)
