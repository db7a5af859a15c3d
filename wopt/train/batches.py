"""Training on mini-batches: Adam or Muon under a schedule, with a parameter average."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.interfaces.solver import SolveReport, Training
from wopt.precision import lowered
from wopt.train.average import Average
from wopt.train.optimisers import adam_and_muon
from wopt.train.readings import Readings
from wopt.train.tolerance import Plateau

__all__ = ["BatchTraining"]


@dataclasses.dataclass(frozen=True)
class BatchTraining:
    """One round of iterations.

    Attributes:
        training: The block, its loss and the options.
        matrices: Whether weight matrices are trained by Muon.
    """

    training: Training
    matrices: bool

    def run(self) -> SolveReport:
        """Train the block in place."""
        given = self.training
        solver, block, held_out = given.settings, given.block, given.held_out
        average = Average(block, solver.ema) if solver.ema else None
        candidate = average.block if average else block
        plateau = Plateau(solver.patience) if solver.patience and held_out else None
        if plateau and held_out:  # the map to begin with is a candidate
            plateau.over(candidate, held_out(candidate))
        at = next(block.parameters()).device
        descend, batches = self._descent(), _batches(given.n, solver.batch_size, at)
        readings, done = Readings(solver.iterations, solver.check_every, given.listener), 0
        for done in range(1, solver.iterations + 1):
            if not descend(batches, readings):
                break
            if average:
                average.update(block)
            readings.tell()
            if done % solver.check_every == 0:
                if plateau and held_out and plateau.over(candidate, held_out(candidate)):
                    break
                if given.tolerance.asked and given.tolerance.met(candidate):
                    plateau = None  # what is within the tolerance is kept, the best or not
                    break
        if not readings.read():
            assert readings.bad is not None
            return SolveReport(*readings.bad, diverged=True)
        readings.tell()
        if plateau and plateau.best is not None:
            block.load_state_dict(plateau.best)
        elif average:
            block.load_state_dict(candidate.state_dict())
        return SolveReport(done, readings.smooth, diverged=False)

    def _descent(self) -> Callable[[Iterator[Tensor | None], Readings], bool]:
        """Return a function that makes an iteration on the next batch."""
        given = self.training
        solver, block, parameters = given.settings, given.block, list(given.block.parameters())
        of_matrices = given.rate * solver.matrix_rate if self.matrices else None
        optimisers = adam_and_muon(
            block, given.rate * solver.learning_rate, of_matrices, solver.weight_decay
        )
        schedules = [torch.optim.lr_scheduler.LambdaLR(o, solver.schedule) for o in optimisers]

        def descend(batches: Iterator[Tensor | None], readings: Readings) -> bool:
            """Iterate on rows, shape ``(batch_size,)``; return whether losses are finite."""
            given.before_each()
            with lowered():
                value = given.loss(block, next(batches))
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
