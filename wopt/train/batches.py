"""Training on mini-batches: a schedule, an average of parameters, noise, when it is done."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from wopt.interfaces.block import FlowBlock
from wopt.interfaces.budget import Clock
from wopt.interfaces.listener import Listener
from wopt.interfaces.solver import Accuracy, SolveReport, Training
from wopt.interfaces.subproblem import Subproblem
from wopt.precision import lowered
from wopt.train.optimisers import adam_and_muon

if TYPE_CHECKING:
    from wopt.train.solvers import Adam

S = TypeVar("S", bound=Subproblem)


def blurred_subproblem(subproblem: S, scale: float) -> S:
    """Return the subproblem with its particles and their anchors moved by noise.

    Over many draws the law of the particles given their conditions becomes the convolution
    rho * N(0, scale^2 I). The noise is drawn from torch's global generator.

    Source: Rothfuss et al., *Noise regularization for conditional density estimation*, 2019.

    Example:
        >>> import torch, wopt
        >>> from wopt.particles import Particles
        >>> x = Particles.start(torch.zeros(50_000, 1))
        >>> sub = Subproblem(x, x.points, 1.0, wopt.build("objective", "entropy"))
        >>> with torch.random.fork_rng():
        ...     _ = torch.manual_seed(0)
        ...     round(float(blurred_subproblem(sub, 0.3).particles.points.std()), 2)
        0.3
    """
    if not scale:
        return subproblem
    particles = subproblem.particles
    noise = scale * torch.randn_like(particles.points)
    moved = dataclasses.replace(particles, points=particles.points + noise)
    return dataclasses.replace(subproblem, particles=moved, anchor=subproblem.anchor + noise)


class Average:
    """A copy of a block with averaged parameters and the last buffers.

    torch's ``AveragedModel`` computes the same, but reads a counter from the device at every
    update, which waits for the device.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> block = AffineBlock(1)
        >>> average = Average(block, 0.25)
        >>> for shift in (0.0, 4.0):
        ...     _ = block.shift.data.fill_(shift)
        ...     average.update(block)
        >>> round(average.block.shift.item(), 3)
        3.273
    """

    def __init__(self, block: FlowBlock, decay: float) -> None:
        self.block = copy.deepcopy(block)
        self.decay, self._count = decay, 0

    @torch.no_grad()
    def update(self, block: FlowBlock) -> None:
        """Update the average with the parameters of a block."""
        own, new = ([p.detach() for p in of.parameters()] for of in (self.block, block))
        count, self._count = self._count, self._count + 1
        decay = min(self.decay, (1 + count) / (10 + count)) if count else 0.0
        get_ema_multi_avg_fn(decay)(own, new, count)
        for mine, theirs in zip(self.block.buffers(), block.buffers(), strict=True):
            mine.copy_(theirs)


class Readings:
    """The losses of a training as they are read, smoothed and reported.

    On the CPU every loss is read before its gradient is computed, so that one that is not finite
    moves nothing. Reading from a device waits for its queue, so losses are kept there until they
    are read together; a block whose loss was not finite meanwhile has to be discarded.

    Attributes:
        smooth: The loss, smoothed over iterations.
        bad: The first iteration, 1, 2, ..., whose loss was not finite, and that loss.
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.smooth = math.nan
        self.bad: tuple[int, float] | None = None
        self._count = 0
        self._waiting: list[Tensor] = []
        self._untold: list[float] = []

    def take(self, loss: Tensor) -> bool:
        """Take the next loss, shape ``()``; return whether all that were read are finite."""
        self._waiting.append(loss.detach())
        return self.read() if loss.device.type == "cpu" else True

    def read(self) -> bool:
        """Read the losses that wait; return whether all that were read are finite."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return self.bad is None
        for loss in [waiting[0].item()] if len(waiting) == 1 else _fetched(waiting):
            self._count += 1
            if not math.isfinite(loss):
                self.bad = self.bad or (self._count, loss)
                return False
            self._untold.append(loss)
        return True

    def tell(self, clock: Clock) -> None:
        """Report the iterations whose losses were read, and how many a clock lets expect."""
        first = self._count - len(self._untold)
        for done, now in enumerate(self._untold, first + 1):
            self.smooth = now if math.isnan(self.smooth) else 0.95 * self.smooth + 0.05 * now
            self.listener.work("training", done, clock.expected, self.smooth)
        self._untold.clear()


def _fetched(losses: list[Tensor]) -> list[float]:
    found: list[float] = torch.stack(losses).cpu().tolist()
    return found


class Tolerance:
    """Whether a block is good enough: its first-order error, or the evenness of weights."""

    def __init__(
        self,
        measure: Accuracy | None,
        tolerance: float | None = None,
        relative: float | None = None,
        relative_ess: Callable[[FlowBlock], float | None] | None = None,
        least: float | None = None,
    ) -> None:
        self.measure = measure if (tolerance or relative) is not None else None
        self.tolerance = tolerance
        self.relative = relative
        self.relative_ess = relative_ess if least is not None else None
        self.least = least
        self.residual: float | None = None
        self.reached: float | None = None

    @property
    def asked(self) -> bool:
        """Whether there is a tolerance, and a way to measure."""
        return self.measure is not None or self.relative_ess is not None

    def met(self, block: FlowBlock) -> bool:
        """Measure the block; an error that is not known (nothing implicit) counts as met."""
        training = block.training
        block.eval()
        enough = self._even(block) and self._accurate(block)
        block.train(training)
        return enough

    def _even(self, block: FlowBlock) -> bool:
        if self.relative_ess is None or self.least is None:
            return True
        self.reached = fraction = self.relative_ess(block)
        return fraction is not None and fraction >= self.least

    def _accurate(self, block: FlowBlock) -> bool:
        stationarity = None if self.measure is None else self.measure(block)
        if stationarity is None:
            return True
        self.residual, speed = stationarity
        limits = [self.tolerance, self.relative and self.relative * speed]
        return all(stationarity[0] <= limit for limit in limits if limit is not None)


class Plateau:
    """Remembers the best parameters by held-out loss and says when to stop.

    The map to begin with may be the best one, but a schedule is stopped by its own losses alone:
    after another schedule it begins above that map's loss, and gains as its rate falls.
    """

    def __init__(self, patience: float, block: FlowBlock, loss: float) -> None:
        self.patience = patience
        self.best, self.least = _copied(block), math.inf if math.isnan(loss) else loss
        self.lowest, self.waited, self.found = math.inf, 0, 0.0

    def over(self, block: FlowBlock, loss: float, at: float) -> bool:
        """Record a held-out loss at a fraction of the schedule; return whether to stop."""
        if loss < self.least:
            self.best, self.least = _copied(block), loss
        if loss < self.lowest:
            self.lowest, self.waited, self.found = loss, 0, at
        else:
            self.waited += 1
        return (self.waited if self.patience >= 1 else at - self.found) >= self.patience


def _copied(block: FlowBlock) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in block.state_dict().items()}


@dataclasses.dataclass(frozen=True)
class BatchTraining:
    """One schedule of iterations.

    Attributes:
        solver: The options.
        training: The block and its loss.
    """

    solver: Adam
    training: Training

    def run(self) -> SolveReport:
        """Train the block in place."""
        solver, given, clock = self.solver, self.training, self.training.clock
        block = given.block
        average = Average(block, solver.ema) if solver.ema else None
        candidate = average.block if average else block
        plateau = None
        if solver.patience and given.held_out:
            plateau = Plateau(solver.patience, candidate, self._held_out(candidate))
        at = next(block.parameters()).device
        descend, batches = self._descent(), _batches(given.n, solver.batch_size, at)
        readings, due = Readings(given.listener), _Checks(solver.check_every)
        for part in clock:
            if not descend(batches, readings, solver.height(part, clock.parts)):
                break
            if average:
                average.update(block)
            readings.tell(clock)
            if due.now(clock):
                if not readings.read():
                    break
                where = (part + 1) / clock.parts
                if plateau and plateau.over(candidate, self._held_out(candidate), where):
                    break
                if given.tolerance.asked and given.tolerance.met(candidate):
                    plateau = None  # what is within the tolerance is kept, the best or not
                    break
        if not readings.read():
            assert readings.bad is not None
            return SolveReport(*readings.bad, diverged=True)
        readings.tell(clock)
        if plateau:
            block.load_state_dict(plateau.best)
        elif average:
            block.load_state_dict(candidate.state_dict())
        return SolveReport(clock.count, readings.smooth, diverged=False)

    def _held_out(self, candidate: FlowBlock) -> float:
        """Return the held-out value, which a listener receives too."""
        assert self.training.held_out is not None
        value = self.training.held_out(candidate)
        self.training.listener.held_out(value)
        return value

    def _descent(self) -> Callable[[Iterator[Tensor | None], Readings, float], bool]:
        """Return a function that makes an iteration on the next batch."""
        solver, given, block = self.solver, self.training, self.training.block
        parameters, matrices = list(block.parameters()), solver.rate_of_matrices
        of_matrices = None if matrices is None else given.rate * matrices
        optimisers = adam_and_muon(
            block, given.rate * solver.learning_rate, of_matrices, solver.weight_decay
        )
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        peaks = [group["lr"] for group in groups]

        def descend(batches: Iterator[Tensor | None], readings: Readings, height: float) -> bool:
            """Iterate on rows ``(n,)`` at a fraction of peak rates; return if losses are finite."""
            given.before_each()
            with lowered(block, block.precision):
                value = given.loss(block, next(batches))
                if not readings.take(value):
                    return False
                block.zero_grad(set_to_none=True)
                value.backward()
            if solver.clip:
                torch.nn.utils.clip_grad_norm_(parameters, solver.clip)
            for group, peak in zip(groups, peaks, strict=True):
                group["lr"] = peak * height
            for optimiser in optimisers:
                optimiser.step()
            return True

        return descend


class _Checks:
    """Says when a check is due: after numbers of iterations, or fractions of a schedule."""

    def __init__(self, every: float) -> None:
        self.every, self.next = every, every

    def now(self, clock: Clock) -> bool:
        """Whether a check is due after the iteration that the clock told last."""
        at = clock.count if self.every >= 1 else (clock.part + 1) / clock.parts
        if at < self.next:
            return False
        self.next = at + self.every
        return True


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
