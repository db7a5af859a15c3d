"""The inner solver: minimises the proximal subproblem over a block's parameters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wopt.component import Component
from wopt.interfaces.block import FlowBlock
from wopt.train.optimisers import adam_and_muon
from wopt.train.polish import polish

__all__ = ["InnerReport", "InnerSolver"]

Accuracy = Callable[[FlowBlock], tuple[float, float] | None]
"""The first-order error of a block on held-out particles and the movement per h; ``None`` if
nothing is implicit."""

Loss = Callable[[FlowBlock, Tensor | None], Tensor]
"""The loss of a block on the rows of an index, or on all of them."""


@dataclasses.dataclass(frozen=True)
class InnerReport:
    """What an inner solve did.

    Attributes:
        iterations: Iterations made.
        loss: The last training loss, smoothed over iterations.
        diverged: Whether it ended at a loss that is not finite.
        residual: The first-order error at the end, where a tolerance asked for it.
    """

    iterations: int
    loss: float
    diverged: bool
    residual: float | None = None


class InnerSolver(Component):
    """Adam or Muon on mini-batches with warm-up and a cosine schedule, or L-BFGS on all particles.

    ``muon`` trains the matrices with more than 16 rows and columns by Muon at ``matrix_rate``, and
    everything else by Adam.

    Example:
        >>> InnerSolver(iterations=100, learning_rate=1e-3).iterations
        100
    """

    def __init__(
        self,
        optimiser: Annotated[
            Literal["adam", "muon", "lbfgs"],
            Field(
                description="adam on mini-batches; muon, the same with orthogonalised steps for "
                "matrices, learns sharp features sooner; lbfgs on all particles, for small problems"
            ),
        ] = "adam",
        learning_rate: Annotated[float, Field(gt=0, description="peak of the schedule")] = 2e-3,
        matrix_rate: Annotated[
            float, Field(gt=0, description="peak rate of the matrices under muon")
        ] = 0.02,
        iterations: Annotated[int, Field(ge=1, description="at most, per step")] = 500,
        batch_size: Annotated[int, Field(ge=1, description="particles per iteration")] = 500,
        warmup: Annotated[
            float, Field(ge=0, lt=1, description="share of iterations over which the rate rises")
        ] = 0.05,
        final_rate: Annotated[
            float, Field(ge=0, le=1, description="end of the cosine, as a share of the peak")
        ] = 0.01,
        clip: Annotated[
            float, Field(ge=0, description="largest norm of the gradient; 0 for any")
        ] = 10.0,
        weight_decay: Annotated[
            float,
            Field(
                ge=0,
                description="share of the rate by which weights shrink each iteration (AdamW's; "
                "not under lbfgs); against overfitting",
            ),
        ] = 0.0,
        ema: Annotated[
            float, Field(ge=0, lt=1, description="decay of a parameter average; 0 for none")
        ] = 0.0,
        warm_start: Annotated[bool, Field(description="begin from the previous step's map")] = True,
        check_every: Annotated[
            int, Field(ge=1, description="iterations between held-out losses")
        ] = 50,
        patience: Annotated[
            int | None,
            Field(ge=1, description="held-out checks without a new best before stopping"),
        ] = None,
        tolerance: Annotated[
            float | None, Field(gt=0, description="first-order error at which a step is solved")
        ] = None,
        relative_tolerance: Annotated[
            float | None,
            Field(
                gt=0,
                description="the same as a share of the movement per h, which falls from step to "
                "step: late steps are then trained harder",
            ),
        ] = None,
        rounds: Annotated[
            int, Field(ge=1, description="of so many iterations, at most, to meet a tolerance")
        ] = 4,
    ) -> None:
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.matrix_rate = matrix_rate
        self.iterations = iterations
        self.batch_size = batch_size
        self.warmup = warmup
        self.final_rate = final_rate
        self.clip = clip
        self.weight_decay = weight_decay
        self.ema = ema
        self.warm_start = warm_start
        self.check_every = check_every
        self.patience = patience
        self.tolerance = tolerance
        self.relative_tolerance = relative_tolerance
        self.rounds = rounds

    def minimise(
        self,
        block: FlowBlock,
        loss: Loss,
        n: int,
        *,
        rate: float = 1.0,
        before_each: Callable[[], None] = lambda: None,
        held_out: Callable[[FlowBlock], float] | None = None,
        accuracy: Accuracy | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> InnerReport:
        """Train the block in place, drawing from torch's global generator.

        With a tolerance and ``accuracy`` it ends when the first-order error is within; where the
        planned iterations do not suffice they are made again, in at most ``rounds`` rounds.

        Args:
            block: The block to train.
            loss: The loss of a block on rows.
            n: Number of particles.
            rate: Factor on the learning rate.
            before_each: Called before every iteration (stochastic objectives draw anew).
            held_out: The held-out loss, for stopping on a plateau.
            accuracy: The held-out first-order error, for the tolerances.
            progress: Called with iterations done, iterations planned and the smoothed loss.
        """
        check = _Accuracy(accuracy, self.tolerance, self.relative_tolerance)
        total, report = 0, InnerReport(0, math.nan, diverged=False)
        for _ in range(self.rounds if check.asked else 1):
            block.train()
            if self.optimiser == "lbfgs":
                report = self._lbfgs(block, loss, progress)
            else:
                report = self._adam(block, loss, n, rate, before_each, held_out, check, progress)
            total += report.iterations
            if report.diverged or (check.asked and check.met(block)):
                break
        return InnerReport(total, report.loss, report.diverged, check.residual)

    def _adam(
        self,
        block: FlowBlock,
        loss: Loss,
        n: int,
        rate: float,
        before_each: Callable[[], None],
        held_out: Callable[[FlowBlock], float] | None,
        check: _Accuracy,
        progress: Callable[[int, int, float], None] | None,
    ) -> InnerReport:
        parameters = list(block.parameters())
        device = parameters[0].device
        of_matrices = rate * self.matrix_rate if self.optimiser == "muon" else None
        optimisers = adam_and_muon(block, rate * self.learning_rate, of_matrices, self.weight_decay)
        schedules = [torch.optim.lr_scheduler.LambdaLR(o, self._schedule) for o in optimisers]
        average = (
            AveragedModel(block, multi_avg_fn=get_ema_multi_avg_fn(self.ema)) if self.ema else None
        )
        plateau = _Plateau(self.patience) if self.patience and held_out else None
        batches = _batches(n, self.batch_size)
        smooth, done = math.nan, 0
        for done in range(1, self.iterations + 1):
            before_each()
            rows = next(batches)
            value = loss(block, None if rows is None else rows.to(device))
            now = value.item()
            if not math.isfinite(now):
                return InnerReport(done, now, diverged=True)
            block.zero_grad(set_to_none=True)
            value.backward()
            if self.clip:
                torch.nn.utils.clip_grad_norm_(parameters, self.clip)
            for optimiser, schedule in zip(optimisers, schedules, strict=True):
                optimiser.step()
                schedule.step()
            if average:
                average.update_parameters(block)
            smooth = now if math.isnan(smooth) else 0.95 * smooth + 0.05 * now
            if progress:
                progress(done, self.iterations, smooth)
            if done % self.check_every == 0:
                candidate = cast(FlowBlock, average.module) if average else block
                if plateau and held_out and plateau.over(candidate, held_out(candidate)):
                    break
                if check.asked and check.met(candidate):
                    plateau = None  # what is within the tolerance is kept, the best or not
                    break
        if plateau and plateau.best is not None:
            block.load_state_dict(plateau.best)
        elif average:
            block.load_state_dict(average.module.state_dict())
        return InnerReport(done, smooth, diverged=False)

    def _lbfgs(
        self, block: FlowBlock, loss: Loss, progress: Callable[[int, int, float], None] | None
    ) -> InnerReport:
        parameters = [p for p in block.parameters() if p.requires_grad]
        optimiser = torch.optim.LBFGS(
            parameters,
            max_iter=self.iterations,
            tolerance_grad=1e-14,
            tolerance_change=1e-11,
            history_size=50,
            line_search_fn="strong_wolfe",
        )
        calls = 0

        def closure() -> Tensor:
            nonlocal calls
            calls += 1
            optimiser.zero_grad()
            value = loss(block, None)
            value.backward()
            if progress:
                progress(min(calls, self.iterations), self.iterations, value.item())
            return value

        def gradient() -> Tensor:
            closure()
            found = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            return torch.cat([g.reshape(-1) for g in found])

        # A line search that gave up near the limits of precision is cured by forgetting the past.
        for _ in range(3):
            first = optimiser.step(closure).item()
            if not math.isfinite(first):
                break
            held = optimiser.state[parameters[0]]
            known = list(zip(held.get("old_stps", ()), held.get("old_dirs", ()), strict=True))
            optimiser.state.clear()
            if polish(parameters, gradient, known) < 1e-12:
                break
        last = loss(block, None).item()
        return InnerReport(calls, last, diverged=not math.isfinite(last))

    def _schedule(self, iteration: int) -> float:
        rise = self.warmup * self.iterations
        if iteration < rise:
            return (iteration + 1) / (rise + 1)
        done = (iteration - rise) / max(1.0, self.iterations - rise)
        return self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * done)) / 2


class _Accuracy:
    """Whether a block's first-order error is within the tolerances."""

    def __init__(
        self, measure: Accuracy | None, tolerance: float | None, relative: float | None
    ) -> None:
        self.measure = measure
        self.tolerance = tolerance
        self.relative = relative
        self.residual: float | None = None

    @property
    def asked(self) -> bool:
        return self.measure is not None and (self.tolerance or self.relative) is not None

    def met(self, block: FlowBlock) -> bool:
        """Measure the block; an error that is not known (nothing implicit) counts as met."""
        assert self.measure is not None
        training = block.training
        found = self.measure(block.eval())
        block.train(training)
        if found is None:
            return True
        self.residual, speed = found
        limits = [self.tolerance, self.relative and self.relative * speed]
        return all(found[0] <= limit for limit in limits if limit is not None)


class _Plateau:
    """Remembers the best parameters by held-out loss and says when to stop."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.least = math.inf
        self.waited = 0
        self.best: dict[str, Tensor] | None = None

    def over(self, block: FlowBlock, loss: float) -> bool:
        if loss < self.least:
            self.least, self.waited = loss, 0
            self.best = {k: v.detach().clone() for k, v in block.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience


def _batches(n: int, size: int) -> Iterator[Tensor | None]:
    """Yield rows of one epoch after another; ``None`` (all rows) if a batch holds them all."""
    while True:
        if size >= n:
            yield None
            continue
        order = torch.randperm(n)
        # The rest of an epoch that does not fill a batch is left to the next shuffle.
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]
