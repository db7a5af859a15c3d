"""The solvers of the core: Adam and Muon on mini-batches, L-BFGS on all particles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.interfaces.solver import Loss, Solver, SolveReport, Training
from wopt.train.batches import BatchTraining

__all__ = ["AdamSolver", "LBFGSSolver", "MuonSolver", "minimise_by_lbfgs", "polish"]

_MEMORY = 30


def polish(
    parameters: Sequence[Tensor],
    gradient: Callable[[], Tensor],
    known: Sequence[tuple[Tensor, Tensor]] = (),
    *,
    iterations: int = 60,
) -> float:
    """Reduce the gradient's norm in place by L-BFGS steps of unit length; return the norm.

    A line search compares values of the loss, whose rounding limits the parameters to about half
    the digits. Gradients still give a descent direction there. This makes sense only near a
    minimum: if the norm rises, the parameters of the least norm are restored.

    Args:
        parameters: Tensors of any shape, changed in place.
        gradient: Returns the gradient at the current parameters, flattened, shape ``(p,)``.
        known: Pairs of an earlier step and the change of the gradient over it, if any.
        iterations: Largest number of gradients.

    Example:
        >>> x = torch.tensor([0.1, -0.2], dtype=torch.float64)
        >>> polish([x], lambda: torch.stack([x[0] + x[0] ** 3, 4 * x[1]])) < 1e-12
        True
    """
    x, g = _flat(parameters), gradient()
    best, least = x, float(g.norm())
    first, waited = least, 0
    pairs = list(known)
    for _ in range(iterations):
        if not float(g.norm()) <= 10 * first or least <= 1e-15 or waited == 5:  # true for NaN
            break
        step = -_newton_direction(g, pairs)
        x = x + step
        _assign(parameters, x)
        new = gradient()
        waited += 1
        if float(new.norm()) < least:
            best, least, waited = x, float(new.norm()), 0
        if float(step @ (new - g)) > 1e-12 * float(step.norm() * (new - g).norm()):
            pairs = [*pairs, (step, new - g)][-_MEMORY:]
        g = new
    _assign(parameters, best)
    return least


def _newton_direction(g: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return H g by the two-loop recursion of L-BFGS (Nocedal, Wright, Algorithm 7.4)."""
    weights = []
    for s, y in reversed(pairs):
        weights.append((s @ g) / (s @ y))
        g = g - weights[-1] * y
    if pairs:
        s, y = pairs[-1]
        g = g * ((s @ y) / (y @ y))
    for (s, y), weight in zip(pairs, reversed(weights), strict=True):
        g = g + (weight - (y @ g) / (s @ y)) * s
    return g


def _flat(parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in parameters])


@torch.no_grad()
def _assign(parameters: Sequence[Tensor], values: Tensor) -> None:
    for p, part in zip(parameters, values.split([p.numel() for p in parameters]), strict=True):
        p.copy_(part.view_as(p))


def minimise_by_lbfgs(
    block: FlowBlock, loss: Loss, iterations: int, listener: Listener
) -> SolveReport:
    """Minimise the loss on all particles over the block's parameters, to high accuracy."""
    parameters = [p for p in block.parameters() if p.requires_grad]
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=iterations,
        tolerance_grad=1e-14,
        tolerance_change=1e-11,
        history_size=50,
        line_search_fn="strong_wolfe",
    )
    calls = 0

    def closure() -> Tensor:
        """Return the loss, shape ``()``, after its backward pass."""
        nonlocal calls
        calls += 1
        optimiser.zero_grad()
        value = loss(block, None)
        value.backward()
        listener.work("training", min(calls, iterations), iterations, value.item())
        return value

    def gradient() -> Tensor:
        """Return the gradient of all p parameters, shape ``(p,)``."""
        closure()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        return torch.cat([g.reshape(-1) for g in gradients])

    # A line search that failed near the limits of precision works again without the history.
    for _ in range(3):
        if not math.isfinite(optimiser.step(closure).item()):
            break
        past = optimiser.state[parameters[0]]
        known = list(zip(past.get("old_stps", ()), past.get("old_dirs", ()), strict=True))
        optimiser.state.clear()
        if polish(parameters, gradient, known) < 1e-12:
            break
    last = loss(block, None).item()
    return SolveReport(calls, last, diverged=not math.isfinite(last))


class AdamSolver(Solver):
    """Adam on mini-batches, with decoupled weight decay, warm-up and a cosine schedule.

    Source: Kingma, Ba, *Adam: a method for stochastic optimization*, 2015; Loshchilov, Hutter,
    *Decoupled weight decay regularization*, 2019.

    Example:
        >>> AdamSolver().on_batches
        True
    """

    cites: ClassVar[tuple[str, ...]] = ("kingma2015", "loshchilov2019")
    on_batches: ClassVar[bool] = True
    matrices: ClassVar[bool] = False
    """Whether weight matrices are trained by Muon, at ``solver.matrix_rate``."""

    def solve(self, training: Training) -> SolveReport:
        """Train the block by ``solver.iterations`` mini-batches."""
        return BatchTraining(training, matrices=self.matrices).run()


class MuonSolver(AdamSolver):
    """Muon for matrices with more than 16 rows and columns, Adam for all other parameters.

    Orthogonalised steps move every direction of a matrix at one speed, so sharp features are
    learned early.

    Source: Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024.

    Example:
        >>> MuonSolver().matrices
        True
    """

    cites: ClassVar[tuple[str, ...]] = ("jordan2024", "kingma2015", "loshchilov2019")
    matrices: ClassVar[bool] = True


class LBFGSSolver(Solver):
    """L-BFGS on all particles, for small problems to be solved to high accuracy.

    Source: Liu, Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989.

    Example:
        >>> LBFGSSolver().on_batches
        False
    """

    cites = ("liu1989", "nocedal2006")

    def solve(self, training: Training) -> SolveReport:
        """Minimise the loss on all particles to high accuracy."""
        iterations = training.settings.iterations
        return minimise_by_lbfgs(training.block, training.loss, iterations, training.listener)
