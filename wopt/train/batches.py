"""Training on mini-batches: Adam or Muon under a schedule, with a parameter average."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import Listener
from wopt.precision import lowered
from wopt.train.average import Average
from wopt.train.inner import InnerReport, Loss
from wopt.train.optimisers import adam_and_muon
from wopt.train.readings import Readings
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
        average = Average(block, solver.ema) if solver.ema else None
        candidate = average.block if average else block
        plateau = Plateau(solver.patience) if solver.patience and self.held_out else None
        if plateau and self.held_out:  # the map to begin with is a candidate
            plateau.over(candidate, self.held_out(candidate))
        at = next(block.parameters()).device
        descend, batches = self._descent(), _batches(self.n, solver.batch_size, at)
        readings, done = Readings(solver.iterations, solver.check_every, self.listener), 0
        for done in range(1, solver.iterations + 1):
            if not descend(batches, readings):
                break
            if average:
                average.update(block)
            readings.tell()
            if done % solver.check_every == 0:
                if plateau and self.held_out and plateau.over(candidate, self.held_out(candidate)):
                    break
                if self.tolerance.asked and self.tolerance.met(candidate):
                    plateau = None  # what is within the tolerance is kept, the best or not
                    break
        if not readings.read():
            assert readings.bad is not None
            return InnerReport(*readings.bad, diverged=True)
        readings.tell()
        if plateau and plateau.best is not None:
            block.load_state_dict(plateau.best)
        elif average:
            block.load_state_dict(candidate.state_dict())
        return InnerReport(done, readings.smooth, diverged=False)

    def _descent(self) -> Callable[[Iterator[Tensor | None], Readings], bool]:
        """Return a function that makes an iteration on the next batch."""
        solver, block, parameters = self.solver, self.block, list(self.block.parameters())
        of_matrices = self.rate * solver.matrix_rate if solver.optimiser == "muon" else None
        optimisers = adam_and_muon(
            block, self.rate * solver.learning_rate, of_matrices, solver.weight_decay
        )
        schedules = [torch.optim.lr_scheduler.LambdaLR(o, solver.schedule) for o in optimisers]

        def descend(batches: Iterator[Tensor | None], readings: Readings) -> bool:
            """Iterate on rows, shape ``(batch_size,)``; return whether losses are finite."""
            self.before_each()
            with lowered():
                value = self.loss(block, next(batches))
                if not readings.take(value):
                    return False
                block.zero_grad(set_to_none=True)
                value.backward()
            if solver.clip:
                torch.nn.utils.clip_grad_norm_(parameters, solver.clip)
            for optimiser, schedule in zip(optimisers, schedules, strict=True):
                optimiser.step()
                schedule.step()
            return True

        return descend


def _batches(n: int, size: int, at: torch.device) -> Iterator[Tensor | None]:
    """Yield rows of one epoch after another; ``None`` (all rows) if a batch holds them all."""
    while True:
        if size >= n:
            yield None
            continue
        order = torch.randperm(n, device=at)
        # The rest of an epoch that does not fill a batch is left to the next shuffle.
        for offset in range(0, n - size + 1, size):
            yield order[offset : offset + size]
