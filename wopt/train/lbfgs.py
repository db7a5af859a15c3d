"""L-BFGS on a function of all data, for few parameters and high accuracy."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wopt.interfaces.budget import Clock
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.solver import SolveReport


class _Ended(Exception):
    """The time is over, or the function is not finite at the beginning."""


def minimise_by_lbfgs(
    parameters: Sequence[Tensor],
    loss: Callable[[], Tensor],
    iterations: int | Clock,
    listener: Listener = SILENT,
    *,
    to_rounding: bool = False,
) -> SolveReport:
    """Minimise a function by L-BFGS, in place; leave the best parameters seen.

    Where the function is not finite the line search backs off.

    Source: Liu, Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989.

    Args:
        parameters: Tensors of any shape, changed in place.
        loss: The function, shape ``()``.
        iterations: Largest number of iterations (evaluations are at most a quarter more), or a
            clock, which ends the evaluations.
        listener: Receives evaluations done, those planned, and the value.
        to_rounding: Whether to go on, by :func:`polish`, until rounding ends it.

    Returns:
        Evaluations made and the value at the end; ``diverged`` if no value was finite.

    Example:
        >>> x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        >>> minimise_by_lbfgs([x], lambda: (x - x.log()).sum(), 50).diverged  # NaN where x < 0
        False
        >>> round(x.item(), 6)
        1.0
    """
    function = _Function(list(parameters), loss, listener, iterations)
    optimiser = torch.optim.LBFGS(
        function.parameters,
        max_iter=iterations if isinstance(iterations, int) else sys.maxsize,
        history_size=50,
        tolerance_grad=1e-14 if to_rounding else 1e-7,
        tolerance_change=1e-11 if to_rounding else 1e-10,
        line_search_fn="strong_wolfe",
    )
    with contextlib.suppress(_Ended, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        # A line search that failed near the limits of precision works again without the history.
        for _ in range(3 if to_rounding else 1):
            optimiser.step(function.for_search)
            past = optimiser.state.pop(function.parameters[0])
            known = list(zip(past.get("old_stps", ()), past.get("old_dirs", ()), strict=True))
            if to_rounding and polish(function.parameters, function.gradient, known) < 1e-12:
                break
    finite = math.isfinite(function.last)
    last = loss().item() if to_rounding and finite else math.nan
    if not math.isfinite(last):
        _assign(function.parameters, function.best)
        last = function.least
    return SolveReport(function.calls, last, diverged=not math.isfinite(last))


@dataclasses.dataclass
class _Function:
    """A function of parameters, with the least value that was seen."""

    parameters: list[Tensor]
    loss: Callable[[], Tensor]
    listener: Listener
    iterations: int | Clock
    calls: int = 0
    least: float = math.inf
    last: float = math.nan

    def __post_init__(self) -> None:
        self.best = _flat(self.parameters)

    def evaluate(self) -> Tensor:
        """Return the value, shape ``()``, after its backward pass, if there is time for one."""
        planned = self.iterations
        if isinstance(planned, Clock) and next(planned, None) is None:
            self.last = math.nan  # where the parameters are is a trial of the line search
            raise _Ended
        for parameter in self.parameters:
            parameter.grad = None
        value = self.loss()
        value.backward()
        self.calls, self.last = self.calls + 1, value.item()
        total = planned.expected if isinstance(planned, Clock) else planned
        self.listener.work("training", min(self.calls, total), total, self.last)
        if self.last < self.least:
            self.least, self.best = self.last, _flat(self.parameters)
        return value

    def for_search(self) -> Tensor:
        """Return the value, shape ``()``, or a large number where it is not finite."""
        value = self.evaluate()
        if math.isfinite(self.last):
            return value
        if math.isinf(self.least):
            raise _Ended
        # The line search backs off from a large number but fails on an infinite one.
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        return torch.full_like(value, 1e30)

    def gradient(self) -> Tensor:
        """Return the gradient by all p parameters, shape ``(p,)``."""
        self.evaluate()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        return torch.cat([g.reshape(-1) for g in gradients])


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
