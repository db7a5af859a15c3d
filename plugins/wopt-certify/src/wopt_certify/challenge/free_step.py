"""Free steps: the map that training would take next, without a step size."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.component import Spec
from wopt.interfaces import FlowBlock, Target, Training, new_block
from wopt.particles import split_conditions
from wopt.push import in_batches
from wopt.seeds import derive, seeded
from wopt.train import Muon, minimise
from wopt_certify.challenge.challenger import Challenger, Density

_SOLVER = Muon(learning_rate=4e-3, weight_decay=0.3, warmup=0.1, check_every=0.1, patience=0.99)
"""The best of its ten checks is kept."""


def free_step(spec: Spec, target: Target, condition: int = 0, iterations: int = 100) -> Challenger:
    """Return the proximal step with h = infinity, from the noise's side or the data's.

        log r(x) = log q(B x) + log |det DB(x)|,  the minimiser of KL(B_# p | q) over a block B.

    Args:
        condition: Number of coordinates, the last ones, that are conditions.
        iterations: Iterations of Adam and Muon at its first turn, the third; every turn has twice
            those of the turn before.

    Example:
        >>> import wopt
        >>> from wopt.testing import NormalTarget
        >>> x = 3 + torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> normal = NormalTarget([0.0], [[1.0]])
        >>> step = free_step(wopt.build("block", "affine"), normal, iterations=300)
        >>> abs(float(step.fit(x[:400], x[400:], 0, 2)(x).mean()) + 1.4189) < 0.1
        True
    """
    fit = functools.partial(_fitted, spec, target, condition, iterations)
    return Challenger("free step", fit, closed=False)


def _fitted(
    spec: Spec, target: Target, condition: int, iterations: int,
    fit: Tensor, hold: Tensor, seed: int, turn: int,
) -> Density:  # fmt: skip
    # The block starts on standardised rows, conditions as they are.
    d = fit.shape[1] - condition
    shift, scale = fit.mean(0), fit.std(0).clamp(min=1e-6)
    shift[d:], scale[d:] = 0.0, 1.0

    def inside(points: Tensor) -> tuple[Tensor, ...]:
        """Return rows ``(n, d)`` in the block's coordinates, and their conditions."""
        return split_conditions(((points - shift) / scale).float(), condition)

    @torch.no_grad()
    def density(points: Tensor) -> Tensor:
        """Return log r in nats by the audited map, shape ``(n, d)`` to ``(n,)``, float64."""
        y, log_det = in_batches(block.audit, *inside(points))
        log_q = -target.potential(y).double()
        return (log_q + log_det.double() - scale.log().sum()).nan_to_num(-math.inf, -math.inf)

    def loss(block: FlowBlock, rows: Tensor | None) -> Tensor:
        """Return KL to the target but for a constant, nats, on rows of numbers ``(n,)``."""
        y, log_det = block(*(x if rows is None else x[rows] for x in x_and_c))
        return (target.potential(y) - log_det).mean()

    with seeded(derive(seed, "free step")), torch.enable_grad():
        block: FlowBlock = new_block(spec, d, condition)
        require("a challenger", Capability.LOG_DET, f"block {type(block).__name__}", block.provides)
        block.to(torch.float32)
        x_and_c = inside(fit)
        with torch.no_grad():
            block.initialise(*x_and_c)
        training = Training(block, loss, len(fit), held_out=lambda _: -float(density(hold).mean()))
        minimise(_SOLVER.varied(iterations=iterations * 2 ** (turn - 2)), training)
    block.freeze()
    return density
