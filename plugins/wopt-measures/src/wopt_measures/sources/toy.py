"""The source ``toy``: distributions in the plane."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from wopt import ConfigError, Dataset, Source
from wopt.data import Preprocess, assemble, draw_splits
from wopt_measures.laws.shapes import SHAPES
from wopt_measures.options import Size


class ToySource(Source):
    """A law in the plane, within about [-4, 4]^2, for pictures and tests.

    | shape | noise s is | density and entropy |
    |---|---|---|
    | banana | 0.5, across the bend | exact; log(4 pi e s) |
    | checkerboard | none | exact; log 32 |
    | circles | 0.2, normal | exact (Bessel function); entropy by quadrature |
    | eight_gaussians | 0.5, their deviation | exact; entropy by Monte Carlo |
    | moons | 0.2, normal | - |
    | pinwheel | 0.1, across the blades | - |
    | spirals | 0.1, normal | - |
    | swiss_roll | 0.2, normal | - |

    Raises:
        ConfigError: Noise is given for the checkerboard.

    Example:
        >>> data = ToySource("checkerboard", n_train=1000).load(seed=0)
        >>> round(data.entropy, 4), round(float(data.log_density(data.test).mean()), 4)
        (3.4657, -3.4657)
    """

    cites = ()

    def __init__(
        self,
        shape: Annotated[
            Literal[
                "banana",
                "checkerboard",
                "circles",
                "eight_gaussians",
                "moons",
                "pinwheel",
                "spirals",
                "swiss_roll",
            ],
            Field(description="name of the distribution"),
        ] = "checkerboard",
        noise: Annotated[
            float | None,
            Field(
                gt=0,
                allow_inf_nan=False,
                description="standard deviation of the noise; by default that of the shape",
            ),
        ] = None,
        n_train: Size = 10_000,
        n_valid: Size = 2_000,
        n_test: Size = 10_000,
        preprocess: Preprocess = "standardise",
    ) -> None:
        if shape == "checkerboard" and noise is not None:
            raise ConfigError("the checkerboard has no noise: leave `noise` out")
        self.shape = shape
        self.noise = SHAPES[shape].noise if noise is None else noise
        self.sizes = (n_train, n_valid, n_test)
        self.preprocess = preprocess

    def load(self, seed: int) -> Dataset:
        """Return the samples, the same for the same seed."""
        shape, splits = SHAPES[self.shape], draw_splits(self._draw, self.sizes, seed)
        if shape.log_prob is None or shape.entropy is None:
            return assemble(splits, self.preprocess, sample=self._draw)
        entropy = shape.entropy(self.noise)
        return assemble(splits, self.preprocess, None, self._log_density, entropy, self._draw)

    def _draw(self, n: int, rng: torch.Generator) -> Tensor:
        return SHAPES[self.shape].sample(n, self.noise, rng)

    def _log_density(self, x: Tensor) -> Tensor:
        exact = SHAPES[self.shape].log_prob
        assert exact is not None
        return exact(x, self.noise)
