"""L-BFGS on all particles, for small problems to be solved exactly."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.interfaces.solver import Loss, SolveReport
from wopt.train.polish import polish

__all__ = ["minimise_by_lbfgs"]


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
