"""Solvers for samplers: the best affine map, and the variance of log importance weights."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from wopt.interfaces import Solver, SolveReport, Training
from wopt_posterior.solvers.gaussian import become_gaussian
from wopt_posterior.solvers.variance import LogVariance, minimise_variance

__all__ = ["Gaussian", "Variance"]


class Gaussian(Solver):
    """The best affine map of a step, by L-BFGS in float64; for the block ``affine``.

    It is also begun from the mode of the target and the curvature there, see
    :func:`wopt_posterior.solvers.gaussian.become_gaussian`.

    Example:
        >>> Gaussian().direct
        True
    """

    cites = ("liu1989", "nocedal2006")
    direct: ClassVar[bool] = True
    beside_chains: ClassVar[bool] = False

    def solve(self, training: Training) -> SolveReport:
        """Make the block the affine map that minimises the subproblem on its particles."""
        assert training.subproblem is not None
        training.before_each()
        return become_gaussian(
            training.block,
            training.subproblem,
            training.target,
            training.settings.iterations,
            training.listener,
        )


class Variance(Solver):
    """L-BFGS on the variance of log importance weights, at draws of the model and at chains.

    For the free steps of a sampler, see :class:`wopt_posterior.solvers.variance.LogVariance`.

    Example:
        >>> Variance().direct
        False
    """

    cites = ("liu1989", "nocedal2006")

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
        iterations = training.settings.iterations
        return minimise_variance(training.block, training.loss, iterations, training.listener)
