"""Training on mini-batches: Adam or Muon under a schedule, with a parameter average."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.train.inner import InnerReport, Loss
from wopt.train.optimisers import adam_and_muon
from wopt.train.tolerance import Plateau, Tolerance

if TYPE_CHECKING:
    from wopt.train.solver import InnerSolver

__all__ = ["BatchTraining"]


@dataclasses.dataclass(frozen=True)
class BatchTraining:
    """One round of iterations; the arguments are those of :meth:`InnerSolver.minimise`."""

    solver: InnerSolver
    block: FlowBlock
    loss: Loss
    n: int
    rate: float
    before_each: Callable[[], None]
    held_out: Callable[[FlowBlock], float] | None
    tolerance: Tolerance
    listener: Listener

    def run(self) -> InnerReport:
        """Train the block in place."""
        solver, block = self.solver, self.block
        average = (
            AveragedModel(block, multi_avg_fn=get_ema_multi_avg_fn(solver.ema))
            if solver.ema
            else None
        )
        candidate = cast(FlowBlock, average.module) if average else block
        plateau = Plateau(solver.patience) if solver.patience and self.held_out else None
        if plateau and self.held_out:  # the map to begin with is a candidate
            plateau.over(candidate, self.held_out(candidate))
        descend, batches = self._descent(), _batches(self.n, solver.batch_size)
        smooth, done = math.nan, 0
        for done in range(1, solver.iterations + 1):
            now = descend(batches)
            if not math.isfinite(now):
                return InnerReport(done, now, diverged=True)
            if average:
                average.update_parameters(block)
            smooth = now if math.isnan(smooth) else 0.95 * smooth + 0.05 * now
            self.listener.work("training", done, solver.iterations, smooth)
            if done % solver.check_every == 0:
                if plateau and self.held_out and plateau.over(candidate, self.held_out(candidate)):
                    break
                if self.tolerance.asked and self.tolerance.met(candidate):
                    plateau = None  # what is within the tolerance is kept, the best or not
                    break
        if plateau and plateau.best is not None:
            block.load_state_dict(plateau.best)
        elif average:
            block.load_state_dict(candidate.state_dict())
        return InnerReport(done, smooth, diverged=False)

    def _descent(self) -> Callable[[Iterator[Tensor | None]], float]:
        """Return what makes an iteration on the next batch, and returns the loss before it."""
        solver, block, parameters = self.solver, self.block, list(self.block.parameters())
        of_matrices = self.rate * solver.matrix_rate if solver.optimiser == "muon" else None
        optimisers = adam_and_muon(
            block, self.rate * solver.learning_rate, of_matrices, solver.weight_decay
        )
        schedules = [torch.optim.lr_scheduler.LambdaLR(o, solver.schedule) for o in optimisers]

        def descend(batches: Iterator[Tensor | None]) -> float:
            self.before_each()
            rows = next(batches)
            value = self.loss(block, None if rows is None else rows.to(parameters[0].device))
            now = value.item()
            if math.isfinite(now):
                block.zero_grad(set_to_none=True)
                value.backward()
                if solver.clip:
                    torch.nn.utils.clip_grad_norm_(parameters, solver.clip)
                for optimiser, schedule in zip(optimisers, schedules, strict=True):
                    optimiser.step()
                    schedule.step()
            return now

        return descend


def _batches(n: int, size: int) -> Iterator[Tensor | None]:
    """Yield rows of one epoch after another; ``None`` (all rows) if a batch holds them all."""
    while True:
        if size >= n:
            yield None
            continue
        order = torch.randperm(n)
        # The rest of an epoch that does not fill a batch is left to the next shuffle.
        for offset in range(0, n - size + 1, size):
            yield order[offset : offset + size]
