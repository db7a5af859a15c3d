"""The source that is a Gaussian start."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from wopt import Dataset, Source
from wopt.data.assemble import assemble, draw_splits
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.options import Covariance, Mean, Scale, Size

__all__ = ["GaussianSource"]


class GaussianSource(Source):
    """Samples of N(m, S), a start of known density to be carried to the target.

    A start has no preprocessing: target and start have the same coordinates.

    Raises:
        ConfigError: The lengths disagree, scale and covariance are both given, or the covariance
            is not symmetric positive definite.

    Example:
        >>> data = GaussianSource(mean=[0.0, 3.0], n_train=100).load(seed=0)
        >>> data.dim, round(data.entropy, 4)  # log(2 pi e)
        (2, 2.8379)
    """

    cites = ()
    role: ClassVar[Literal["data", "start"]] = "start"

    def __init__(
        self,
        mean: Mean = 0.0,
        scale: Scale = 1.0,
        covariance: Covariance = None,
        dim: Annotated[
            int | None,
            Field(
                ge=1,
                description="the dimension; taken from the other options, or 2 if these are "
                "single numbers",
            ),
        ] = None,
        n_train: Size = 10_000,
        n_valid: Size = 2_000,
        n_test: Size = 10_000,
    ) -> None:
        known = GaussianLaw.make(mean, scale, covariance, dim).dim
        self.law = GaussianLaw.make(mean, scale, covariance, known or 2)
        self.sizes = (n_train, n_valid, n_test)

    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.law.sample(n, self.law.dim or 2, generator)

    def load(self, seed: int) -> Dataset:
        """Return the samples, the same for the same seed."""
        law, dim = self.law, self.law.dim or 2
        draw = self._draw  # a method, which pickles with the data
        splits = draw_splits(draw, self.sizes, seed)
        return assemble(splits, "none", None, law.log_prob, law.entropy(dim), draw)
