"""A challenger that is one more step without a proximal term: a block by maximum likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.component import Spec, build
from wopt.errors import PluginError
from wopt.host import host
from wopt.interfaces import FlowBlock, Target, Training, new_block
from wopt.particles import split_conditions
from wopt.push import in_batches
from wopt.seeds import derive, seeded
from wopt.train import Muon, minimise
from wopt_certify.challenge.challenger import Challenger, Density

__all__ = ["FreeStep", "FreeSteps", "block_for"]

_SOLVER = Muon(learning_rate=4e-3, weight_decay=0.3, warmup=0.1, check_every=0.1, patience=0.99)
"""The best of its ten checks is kept."""


class FreeSteps(Challenger):
    """The proximal step with h = infinity, from the noise's side or the data's.

    Args:
        condition: Number of coordinates, the last ones, that are conditions.
        iterations: Iterations of Adam and Muon at its first turn.
    """

    name = "free step"
    conditional = True

    def __init__(
        self, spec: Spec, target: Target, condition: int = 0, iterations: int = 50
    ) -> None:
        self.spec, self.target, self.condition = spec, target, condition
        self.iterations = iterations

    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return a step from rows ``(n, d)``, with twice the iterations of the turn before."""
        return FreeStep(self, fit, hold, self.iterations * 2 ** (turn - 2), seed)

    def takes(self, turn: int, rows: int) -> bool:
        """Return that it takes every turn after those of closed forms."""
        return turn > 1


class FreeStep:
    """log r(x) = log q(B x) + log |det DB(x)|,  the minimiser of KL(B_# p | q) over a block B.

    Args:
        fit: Training rows, shape ``(n, d)``.
        hold: Rows that choose the best state, shape ``(m, d)``.

    Example:
        >>> import wopt
        >>> from wopt.testing import GaussianTarget
        >>> x = 3 + torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> steps = FreeSteps(wopt.build("block", "affine"), GaussianTarget([0.0], [[1.0]]))
        >>> abs(float(FreeStep(steps, x[:400], x[400:], 300)(x).mean()) + 1.4189) < 0.1
        True
    """

    def __init__(
        self, options: FreeSteps, fit: Tensor, hold: Tensor, iterations: int, seed: int = 0
    ) -> None:
        self.target, self.condition = options.target, options.condition
        # The block starts on standardised rows, conditions as they are.
        fit, d = fit.double(), fit.shape[1] - options.condition
        self.shift, self.scale = fit.mean(0), fit.std(0).clamp(min=1e-6)
        self.shift[d:], self.scale[d:] = 0.0, 1.0
        with seeded(derive(seed, "free step")), torch.enable_grad():
            self.block: FlowBlock = new_block(options.spec, d, options.condition)
            name = f"block {type(self.block).__name__}"
            require("a challenger", Capability.LOG_DET, name, self.block.provides)
            self.block.to(torch.float32)
            inside = self._inside(fit)
            with torch.no_grad():
                self.block.initialise(*inside)
            minimise(
                _SOLVER.varied(iterations=iterations),
                Training(
                    self.block,
                    lambda block, rows: self._loss(block, inside, rows),
                    len(fit),
                    held_out=lambda _: -float(self(hold).mean()),
                ),
            )
        self.block.freeze()

    @torch.no_grad()
    def __call__(self, points: Tensor) -> Tensor:
        """Return log r in nats by the audited map, shape ``(n, d)`` to ``(n,)``, float64."""
        y, log_det = in_batches(self.block.audit, *self._inside(points))
        log_density = -self.target.potential(y).double() + log_det.double() - self.scale.log().sum()
        return log_density.nan_to_num(nan=-math.inf, posinf=-math.inf)

    def _inside(self, points: Tensor) -> tuple[Tensor, ...]:
        rows = (points.double() - self.shift) / self.scale
        return split_conditions(rows.float(), self.condition)

    def _loss(self, block: FlowBlock, inside: tuple[Tensor, ...], rows: Tensor | None) -> Tensor:
        y, log_det = block(*(inside if rows is None else (part[rows] for part in inside)))
        return (self.target.potential(y) - log_det).mean()


def block_for(preferred: tuple[str, ...] = ("autoregressive", "spline", "ode")) -> Spec | None:
    """Return the first of these blocks that is installed, by default ``autoregressive``."""
    for name in preferred:
        try:
            host().registry.find("block", name)
        except PluginError:
            continue
        spec: Spec = build("block", name)
        return spec
    return None
