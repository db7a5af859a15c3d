"""A challenger that is one more step without a proximal term: a block by maximum likelihood."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.component import Spec
from wopt.interfaces import FlowBlock, Target, new_block
from wopt.push import in_batches
from wopt.seeds import derive, seeded
from wopt.train import adam_and_muon

__all__ = ["FreeStep", "TrainingEffort"]

_RISE = 0.1


@dataclasses.dataclass(frozen=True)
class TrainingEffort:
    """Training options of a block.

    Attributes:
        iterations: Iterations of Adam and Muon, on a cosine schedule.
        batch_size: Rows per iteration.
        learning_rate: Peak rate of Adam.
        matrix_rate: Peak rate of Muon.
        weight_decay: Weight decay of the matrices.
        checks: Number of evaluations of the held-out likelihood; the best state is kept.
        patience: Checks without a new best before training ends.
    """

    iterations: int = 200
    batch_size: int = 500
    learning_rate: float = 4e-3
    matrix_rate: float = 0.02
    weight_decay: float = 0.3
    checks: int = 10
    patience: int = 4


class FreeStep:
    """log r(x) = log q(B x) + log |det DB(x)|,  the minimiser of KL(B_# p | q) over a block B.

    It is the proximal step with h = infinity, trained on one set of rows and stopped by another.

    Args:
        spec: The choice of the block, which provides LOG_DET.
        target: q, normalised.
        fit: Training rows, shape ``(n, d)``.
        hold: Rows that choose the best state, shape ``(m, d)``.
        effort: Training options.
        condition: Number of coordinates, the last ones, that are conditions.
        seed: Seed of initialisation and batches.

    Raises:
        CapabilityError: The block has no log-det, or cannot be conditional where it must be.

    Example:
        >>> import wopt
        >>> from wopt.testing import GaussianTarget
        >>> x = 3 + torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> step = FreeStep(wopt.build("block", "affine"), GaussianTarget([0.0], [[1.0]]),
        ...     x[:400], x[400:], TrainingEffort(iterations=100, learning_rate=0.1))
        >>> abs(float(step(x).mean()) + 1.4189) < 0.1  # the entropy of N(3, 1)
        True
    """

    def __init__(
        self,
        spec: Spec,
        target: Target,
        fit: Tensor,
        hold: Tensor,
        effort: TrainingEffort,
        condition: int = 0,
        seed: int = 0,
    ) -> None:
        self.target = target
        moved = fit.shape[1] - condition
        # The block starts on standardised rows; the density includes the standardisation.
        self.shift, self.scale = _standard(fit, moved)
        with seeded(derive(seed, "free step")), torch.enable_grad():
            self.block: FlowBlock = new_block(spec, fit.shape[1], condition)
            name = f"block {type(self.block).__name__}"
            require("a challenger", Capability.LOG_DET, name, self.block.provides)
            self.block.to(torch.float32)
            inside = self._inside(fit).float()
            with torch.no_grad():
                self.block.initialise(inside)
            self._train(inside, hold, effort)
        self.block.freeze()

    @torch.no_grad()
    def __call__(self, points: Tensor) -> Tensor:
        """Return log r in nats by the audited map, shape ``(n, d)`` to ``(n,)``, float64."""
        y, log_det = in_batches(self.block.audit, self._inside(points).float())
        log_density = -self.target.potential(y).double() + log_det.double() - self.scale.log().sum()
        return log_density.nan_to_num(nan=-math.inf, posinf=-math.inf)

    def _inside(self, points: Tensor) -> Tensor:
        return (points.double() - self.shift) / self.scale

    def _train(self, inside: Tensor, hold: Tensor, effort: TrainingEffort) -> None:
        optimisers = adam_and_muon(
            self.block, effort.learning_rate, effort.matrix_rate, effort.weight_decay
        )
        peaks = [(g, g["lr"]) for o in optimisers for g in o.param_groups]
        best, kept, waited = -math.inf, self.block.state_dict(), 0
        total, next_check = effort.iterations, 0
        for iteration in range(total + 1):
            if iteration >= min(next_check, total):
                next_check = iteration + max(1, total // effort.checks)
                value, waited = float(self(hold).mean()), waited + 1
                if value > best:
                    best, waited = value, 0
                    kept = {k: v.detach().clone() for k, v in self.block.state_dict().items()}
                if waited >= effort.patience or iteration >= total:
                    break
            for group, peak in peaks:
                group["lr"] = peak * _schedule(iteration / total)
            if not self._step(inside, effort, optimisers):
                break
        self.block.load_state_dict(kept)

    def _step(
        self, inside: Tensor, effort: TrainingEffort, optimisers: list[torch.optim.Optimizer]
    ) -> bool:
        """Make one iteration; return whether the loss was finite."""
        rows = torch.randint(len(inside), (min(effort.batch_size, len(inside)),))
        y, log_det = self.block(inside[rows])
        loss = (self.target.potential(y) - log_det).mean()
        if not math.isfinite(float(loss.detach())):
            return False
        self.block.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.block.parameters(), 10.0)
        for optimiser in optimisers:
            optimiser.step()
        return True


def _schedule(done: float) -> float:
    """Return the fraction of the peak rate: a rise over a tenth, then a cosine to a hundredth."""
    if done < _RISE:
        return (done + 0.01) / (_RISE + 0.01)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (done - _RISE) / (1 - _RISE))) / 2


def _standard(fit: Tensor, moved: int) -> tuple[Tensor, Tensor]:
    """Return shift and scale of the coordinates that move; conditions stay unchanged."""
    fit = fit.double()
    shift, scale = fit.mean(0), fit.std(0).clamp(min=1e-6)
    shift[moved:], scale[moved:] = 0.0, 1.0
    return shift, scale
