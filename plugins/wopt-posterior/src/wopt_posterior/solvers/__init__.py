"""Solvers for samplers: towards chains, the best affine map, the variance of log weights."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from wopt.component import fields
from wopt.interfaces import SolveReport, Training
from wopt.train import Adam, Clocked, Repeated, minimise_by_lbfgs
from wopt_posterior.solvers.gaussian import become_gaussian
from wopt_posterior.solvers.variance import LogVariance

_CHAINS = (
    "Metropolis chains of the target beside training, which find arms, tails and modes that the "
    "model's own draws miss; for a start of known density and a target's potential. 0: none"
)


@fields
class Chains(Adam):
    """Adam or Muon, also towards chains of the target where the model's own draws miss mass.

    Example:
        >>> Chains(chains=500).direction
        'reverse'
    """

    cites: ClassVar[tuple[str, ...]] = ("jordan2024", "kingma2015", "loshchilov2019")
    renamed: ClassVar[dict[str, tuple[str, dict[str, str]]]] = {
        "towards": ("direction", {"both": "reverse", "chains": "forward"})
    }

    matrix_rate: Annotated[
        float | None,
        Field(gt=0, description="peak learning rate of weight matrices under Muon; default: Adam"),
    ] = None
    chains: Annotated[int, Field(ge=0, description=_CHAINS)] = 1000
    chains_cost: Annotated[
        float,
        Field(
            ge=1,
            description="how many iterations one that is trained towards chains counts as, so that "
            "training takes as long with them as without",
        ),
    ] = 1.0
    direction: Annotated[
        Literal["reverse", "forward"],
        Field(
            description="what is minimised: reverse (KL(q | p) at the model's draws and, where "
            "these are not enough, KL(p | q) at the chains) or forward (the latter alone)"
        ),
    ] = "reverse"

    @property
    def rate_of_matrices(self) -> float | None:
        """Peak learning rate of weight matrices under Muon; ``None`` if Adam has them too."""
        return self.matrix_rate


@fields
class Gaussian(Clocked):
    """The best affine map of a step, by L-BFGS in float64; for the block ``affine``.

    It is also begun from the mode of the target and the curvature there, see
    :func:`wopt_posterior.solvers.gaussian.become_gaussian`.

    Example:
        >>> Gaussian(iterations=100).on_batches
        False
    """

    cites = ("liu1989", "nocedal2006")
    beside_chains: ClassVar[bool] = False

    chains: Annotated[
        int, Field(ge=0, description="chains of the target that the Gaussian is compared with")
    ] = 0

    def solve(self, training: Training) -> SolveReport:
        """Make the block the affine map that minimises the subproblem on its particles."""
        assert training.subproblem is not None
        training.before_each()
        return become_gaussian(
            training.block,
            training.subproblem,
            training.target,
            training.clock.parts if self.seconds is None else training.clock,
            training.listener,
            training.team,
        )


@fields
class Variance(Repeated):
    """L-BFGS on the variance of log importance weights, at draws of the model and at chains.

    For the free steps of a sampler, see :class:`wopt_posterior.solvers.variance.LogVariance`.

    Example:
        >>> Variance().on_batches
        False
    """

    cites = ("liu1989", "nocedal2006")

    chains: Annotated[int, Field(ge=0, description=_CHAINS)] = 1000

    def begin(self, training: Training) -> Training:
        """Return the training of the log-variance in place of the subproblem."""
        assert training.subproblem is not None
        loss = LogVariance.of(training.chains, training.block, training.subproblem)
        return dataclasses.replace(training, loss=loss)

    def renew(self, training: Training) -> None:
        """Add points where the map leads now, and where chains are."""
        assert isinstance(training.loss, LogVariance)
        training.loss.renew()

    def solve(self, training: Training) -> SolveReport:
        """Minimise the variance at all points so far."""
        parameters = [p for p in training.block.parameters() if p.requires_grad]
        return minimise_by_lbfgs(
            parameters,
            lambda: training.loss(training.block, None),
            training.clock.parts,
            training.listener,
        )
