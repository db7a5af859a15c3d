"""The target ``samples``, known by samples only."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from wopt import Capability, ConfigError, DataError, Source, Target
from wopt.component import fields
from wopt_measures.options import plain


@fields
class SamplesTarget(Target):
    """The law of given samples: rows of data, drawn with replacement, or all of them.

    It is for objectives that need samples of the target (``mmd``, ``energy_distance``,
    ``sliced_wasserstein``, ``dual_f_divergence``): noise to data, or data to data.

    The samples are in the coordinates in which the flow works, so the run's own ``[source]`` should
    have ``preprocess = "none"`` (a ``gaussian`` start has none anyway). The preprocessing of this
    target's source is not applied: its rows are in the data's own units.

    Raises:
        ConfigError: Neither points nor a source are given, or both.
        DataError: The source's data cannot be used, or have another dimension than the flow.

    Example:
        >>> target = SamplesTarget(points=[[0.0], [1.0], [5.0]])
        >>> target.sample(4, 1, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 1])
        >>> SamplesTarget(points=[[0.0], [5.0]], draw="all").rows.tolist()
        [[0.0], [5.0]]
    """

    cites = ()
    provides = Capability.TARGET_SAMPLES

    example: ClassVar[dict[str, Any]] = {"source": {"name": "toy"}}

    source: Annotated[
        Source | None, Field(description="where the samples come from: any source")
    ] = None
    points: Annotated[
        list[list[float]] | None,
        BeforeValidator(plain),
        Field(description="the samples themselves, n rows of d numbers; instead of a source"),
    ] = None
    split: Annotated[
        Literal["train", "valid", "test"],
        Field(description="which split of the source serves as the target"),
    ] = "train"
    seed: Annotated[int, Field(ge=0, description="seed with which the source is loaded")] = 0
    draw: Annotated[
        Literal["with_replacement", "all"],
        Field(
            description="as many rows as needed, drawn with replacement; or always all "
            "rows, which leaves no noise"
        ),
    ] = "with_replacement"

    def __post_init__(self) -> None:
        if (self.source is None) == (self.points is None):
            raise ConfigError("a samples target needs either `source` or `points`")
        self._rows: Tensor | None = None
        if self.points is not None:
            self._rows = _rows(self.points)
            self.dim = self._rows.shape[1]

    @property
    def rows(self) -> Tensor:
        """All samples, shape ``(n, d)``, float64, loaded on first use."""
        if self._rows is None:
            assert self.source is not None
            rows: Tensor = getattr(self.source.load(self.seed), self.split)
            self._rows = rows.double()
            self.dim = rows.shape[1]
        return self._rows

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return rows drawn with replacement, or all, shape ``(n, dim)``, float64."""
        rows = self.rows.to(rng.device)
        if rows.shape[1] != dim:
            raise DataError(
                f"the target's samples have dimension {rows.shape[1]} and the flow {dim}; they "
                "must agree"
            )
        if self.draw == "all":
            return rows
        return rows[torch.randint(len(rows), (n,), generator=rng, device=rows.device)]


def _rows(points: list[list[float]]) -> Tensor:
    if not points or not points[0] or any(len(row) != len(points[0]) for row in points):
        raise ConfigError("a samples target's points are one or more rows of equally many numbers")
    rows = torch.tensor(points, dtype=torch.float64)
    if not bool(torch.isfinite(rows).all()):
        raise ConfigError(
            "a samples target's points must be finite; there are NaN or infinite ones"
        )
    return rows
