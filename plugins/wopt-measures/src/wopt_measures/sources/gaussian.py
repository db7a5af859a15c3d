"""The source ``gaussian``: a Gaussian start."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from wopt import DataError, Dataset, Source
from wopt.data import assemble, draw_splits
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.options import Covariance, Mean, Scale, Size


class GaussianSource(Source):
    """Samples of N(m, S), a start of known density.

    A start is not preprocessed: target and start have the same coordinates.

    Raises:
        ConfigError: The lengths disagree, scale and covariance are both given, or the covariance
            is not symmetric positive definite.
        DataError: There are too few training rows to be ``matched``: fewer than 2 d.

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
        matched: Annotated[
            bool,
            Field(
                description="training rows have exactly this mean and covariance, and come in "
                "pairs m + z, m - z, so that affine maps are learnt without noise"
            ),
        ] = False,
    ) -> None:
        self.matched = matched
        known = GaussianLaw.make(mean, scale, covariance, dim).dim
        self.law = GaussianLaw.make(mean, scale, covariance, known or 2)
        self.sizes = (n_train, n_valid, n_test)

    def _draw(self, n: int, rng: torch.Generator) -> Tensor:
        return self.law.sample(n, self.law.dim or 2, rng)

    def load(self, seed: int) -> Dataset:
        """Return the samples, the same for the same seed."""
        law, dim = self.law, self.law.dim or 2
        draw = self._draw  # a method, so that it pickles with the data
        splits = draw_splits(draw, self.sizes, seed)
        if self.matched:
            splits = (law.push(_matched(law.whitened(splits[0]))), *splits[1:])
        return assemble(splits, "none", None, law.log_prob, law.entropy(dim), draw)


def _matched(z: Tensor) -> Tensor:
    """Return draws of N(0, I) made antithetic and white: mean 0 and covariance I, exactly."""
    half = z[: max(1, len(z) // 2)]
    if len(half) < z.shape[1]:
        raise DataError(
            f"{len(z)} training rows of {z.shape[1]} dimensions cannot be matched to a covariance; "
            f"give at least {2 * z.shape[1]} in n_train, or leave out `matched`"
        )
    factor = torch.linalg.cholesky(half.T @ half / len(half))
    half = torch.linalg.solve_triangular(factor, half.T, upper=False).T
    return torch.cat([half, -half])
