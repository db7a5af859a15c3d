"""The solvers of the core: Adam and Muon on mini-batches, L-BFGS on all particles."""

from __future__ import annotations

from typing import ClassVar

from wopt.interfaces.solver import Solver, SolveReport, Training
from wopt.train.batches import BatchTraining
from wopt.train.lbfgs import minimise_by_lbfgs

__all__ = ["LBFGS", "Adam", "Muon"]


class Adam(Solver):
    """Adam on mini-batches, with decoupled weight decay, warm-up and a cosine schedule.

    Source: Kingma, Ba, *Adam: a method for stochastic optimization*, 2015; Loshchilov, Hutter,
    *Decoupled weight decay regularization*, 2019.

    Example:
        >>> Adam().on_batches
        True
    """

    cites: ClassVar[tuple[str, ...]] = ("kingma2015", "loshchilov2019")
    on_batches: ClassVar[bool] = True
    matrices: ClassVar[bool] = False
    """Whether weight matrices are trained by Muon, at ``solver.matrix_rate``."""

    def solve(self, training: Training) -> SolveReport:
        """Train the block by ``solver.iterations`` mini-batches."""
        return BatchTraining(training, matrices=self.matrices).run()


class Muon(Adam):
    """Muon for matrices with more than 16 rows and columns, Adam for all other parameters.

    Orthogonalised steps move every direction of a matrix at one speed, so sharp features are
    learned early.

    Source: Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024.

    Example:
        >>> Muon().matrices
        True
    """

    cites: ClassVar[tuple[str, ...]] = ("jordan2024", "kingma2015", "loshchilov2019")
    matrices: ClassVar[bool] = True


class LBFGS(Solver):
    """L-BFGS on all particles, for small problems to be solved to high accuracy.

    Source: Liu, Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989.

    Example:
        >>> LBFGS().on_batches
        False
    """

    cites = ("liu1989", "nocedal2006")

    def solve(self, training: Training) -> SolveReport:
        """Minimise the loss on all particles to high accuracy."""
        iterations = training.settings.iterations
        return minimise_by_lbfgs(training.block, training.loss, iterations, training.listener)
