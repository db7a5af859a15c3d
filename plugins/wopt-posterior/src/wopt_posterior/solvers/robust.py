"""L-BFGS for functions that overflow, as a user's density may far from its mass."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["minimise_robustly"]


class _NowhereFinite(Exception):
    """The function is not finite at the beginning."""


def minimise_robustly(
    parameters: list[Tensor], loss: Callable[[], Tensor], iterations: int
) -> bool:
    """Minimise by L-BFGS; leave the best parameters seen and return whether any was finite.

    Args:
        parameters: Tensors of any shape, changed in place.
        loss: The function to minimise, shape ``()``.
        iterations: Largest number of iterations; evaluations are at most a quarter more.

    Example:
        >>> x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        >>> minimise_robustly([x], lambda: (x - x.log()).sum(), 50)  # NaN where x < 0
        True
        >>> round(x.item(), 6)
        1.0
    """
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=iterations,
        history_size=50,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )
    least, best = math.inf, [p.detach().clone() for p in parameters]

    def closure() -> Tensor:
        """Return the loss, shape ``()``, or a large number where it is not finite."""
        nonlocal least, best
        optimiser.zero_grad()
        value = loss()
        value.backward()
        now = value.item()
        if now < least:
            least, best = now, [p.detach().clone() for p in parameters]
        if not math.isfinite(now) and math.isinf(least):
            raise _NowhereFinite
        if math.isfinite(now):
            return value
        # The line search backs off from a large number but fails on an infinite one.
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        return torch.full_like(value, 1e30)

    with contextlib.suppress(_NowhereFinite, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        optimiser.step(closure)
    with torch.no_grad():
        for parameter, kept in zip(parameters, best, strict=True):
            parameter.copy_(kept)
    return math.isfinite(least)
