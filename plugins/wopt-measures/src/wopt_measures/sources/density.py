"""The source ``density``: a start with a known law, as draws or as weighted nodes."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, ConfigError, Dataset, Source, Target
from wopt.data import assemble, draw_splits
from wopt.seeds import derive
from wopt_measures.laws.barenblatt import BarenblattLaw
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.laws.nodes import Rule, nodes
from wopt_measures.options import Size

_NEEDS = Capability.POTENTIAL | Capability.NORMALISED | Capability.TARGET_SAMPLES


class DensitySource(Source):
    """A start whose density is that of a target: Barenblatt's, a Gaussian's, any with samples.

    With a rule other than ``random``, training and held-out particles are the same nodes, weighted
    where the rule says so: for laws ``gaussian`` and ``barenblatt``. Means over them have no
    sampling error, so that the error of a scheme is visible; train on all of them at once
    (``solver.name = "lbfgs"``). Test rows are draws. Sparse grids are left out, because some
    of their weights are negative; ``radial`` has as few points and positive weights.

    Raises:
        ConfigError: The law has no normalised density with samples, or the rule is not for it.

    Example:
        >>> data = DensitySource({"name": "barenblatt", "dim": 3}, rule="radial", nodes=2).load(0)
        >>> len(data.train), round(float(data.weights[0].sum()), 6)
        (12, 1.0)
    """

    cites = ()
    role: ClassVar[Literal["data", "start"]] = "start"

    def __init__(
        self,
        law: Annotated[
            Target, Field(description="the law: a target with a normalised density and samples")
        ] = wopt.named("barenblatt"),
        dim: Annotated[
            int | None, Field(ge=1, description="the dimension; 2 where the law takes any")
        ] = None,
        rule: Annotated[
            Rule,
            Field(
                description="where particles are: random draws, sobol points (on the line "
                "quantiles), gauss (a tensor product of Gauss-Hermite nodes) or radial (Gauss "
                "nodes of the radius along the axes)"
            ),
        ] = "random",
        nodes: Annotated[
            int,
            Field(ge=1, description="nodes: in all (sobol), along an axis (gauss), of the radius"),
        ] = 3,
        n_train: Size = 10_000,
        n_valid: Size = 2_000,
        n_test: Size = 10_000,
    ) -> None:
        if _NEEDS & ~law.provides:
            raise ConfigError(
                f"source density: target {type(law).__name__} has no normalised density with "
                "samples; choose one that has them, such as gaussian, mixture or barenblatt"
            )
        if dim is not None and law.dim is not None and dim != law.dim:
            raise ConfigError(f"source density: dim is {dim}, and its law has {law.dim}")
        if rule != "random" and not isinstance(law, GaussianLaw | BarenblattLaw):
            raise ConfigError(
                f'source density: rule = "{rule}" is for the laws gaussian and barenblatt; use '
                'rule = "random"'
            )
        self.law = law
        self.rule: Rule = rule
        self.nodes = nodes
        self.dimension = law.dim or dim or 2
        self.sizes = (n_train, n_valid, n_test)

    def _draw(self, n: int, rng: torch.Generator) -> Tensor:
        return self.law.sample(n, self.dimension, rng)

    def load(self, seed: int) -> Dataset:
        """Return the particles, the same for the same seed."""
        splits = draw_splits(self._draw, self.sizes, seed)
        if self.rule == "random":
            return assemble(splits, "none", None, self.law.log_prob, None, self._draw)
        law = cast("GaussianLaw | BarenblattLaw", self.law)
        at = nodes(law, self.rule, self.nodes, self.dimension, derive(seed, "nodes"))
        points, weights = at
        splits = (points, points, splits[2])
        made = assemble(splits, "none", None, self.law.log_prob, None, self._draw)
        return made if weights is None else dataclasses.replace(made, weights=(weights, weights))
