"""A challenger that is one more step without a proximal term: a block by maximum likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.component import Spec, build
from wopt.host import host
from wopt.interfaces import FlowBlock, Target, Training, new_block
from wopt.particles import split_conditions
from wopt.push import in_batches
from wopt.seeds import derive, seeded
from wopt.train import Muon, minimise
from wopt_certify.challenge.challenger import Challenger, Density

__all__ = ["FreeSteps", "block_for"]

_SOLVER = Muon(learning_rate=4e-3, weight_decay=0.3, warmup=0.1, check_every=0.1, patience=0.99)
"""The best of its ten checks is kept."""


class FreeSteps(Challenger):
    """The proximal step with h = infinity, from the noise's side or the data's.

        log r(x) = log q(B x) + log |det DB(x)|,  the minimiser of KL(B_# p | q) over a block B.

    Args:
        condition: Number of coordinates, the last ones, that are conditions.
        iterations: Iterations of Adam and Muon at its first turn, the third.

    Example:
        >>> import wopt
        >>> from wopt.testing import GaussianTarget
        >>> x = 3 + torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> normal = GaussianTarget([0.0], [[1.0]])
        >>> steps = FreeSteps(wopt.build("block", "affine"), normal, iterations=300)
        >>> abs(float(steps.fit(x[:400], x[400:], turn=2, seed=0)(x).mean()) + 1.4189) < 0.1
        True
    """

    name = "free step"
    conditional = True

    def __init__(
        self, spec: Spec, target: Target, condition: int = 0, iterations: int = 50
    ) -> None:
        self.spec, self.target, self.condition = spec, target, condition
        self.iterations = iterations

    def takes(self, turn: int, rows: int) -> bool:
        """Return that it takes every turn after those of closed forms."""
        return turn > 1

    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return a step from rows ``(n, d)``, with twice the iterations of the turn before."""
        # The block starts on standardised rows, conditions as they are.
        fit, d = fit.double(), fit.shape[1] - self.condition
        shift, scale = fit.mean(0), fit.std(0).clamp(min=1e-6)
        shift[d:], scale[d:] = 0.0, 1.0

        def inside(points: Tensor) -> tuple[Tensor, ...]:
            rows = ((points.double() - shift) / scale).float()
            return split_conditions(rows, self.condition)

        @torch.no_grad()
        def density(points: Tensor) -> Tensor:
            """Return log r in nats by the audited map, shape ``(n, d)`` to ``(n,)``, float64."""
            y, log_det = in_batches(block.audit, *inside(points))
            log_q = -self.target.potential(y).double()
            return (log_q + log_det.double() - scale.log().sum()).nan_to_num(-math.inf, -math.inf)

        def loss(block: FlowBlock, rows: Tensor | None) -> Tensor:
            y, log_det = block(*(x if rows is None else x[rows] for x in x_and_c))
            return (self.target.potential(y) - log_det).mean()

        with seeded(derive(seed, "free step")), torch.enable_grad():
            block: FlowBlock = new_block(self.spec, d, self.condition)
            name = f"block {type(block).__name__}"
            require("a challenger", Capability.LOG_DET, name, block.provides)
            block.to(torch.float32)
            x_and_c = inside(fit)
            with torch.no_grad():
                block.initialise(*x_and_c)
            solver = _SOLVER.varied(iterations=self.iterations * 2 ** (turn - 2))
            training = Training(
                block, loss, len(fit), held_out=lambda _: -float(density(hold).mean())
            )
            minimise(solver, training)
        block.freeze()
        return density


def block_for(preferred: tuple[str, ...] = ("autoregressive", "spline", "ode")) -> Spec | None:
    """Return the first of these blocks that is installed, by default ``autoregressive``."""
    known = host().registry.names("block")
    return next((build("block", name) for name in preferred if name in known), None)
