"""Inverses of trained maps, checked by the audited map and mended in float64 where they miss."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import Module

from wopt.errors import DivergenceError
from wopt.interfaces.block import FlowBlock
from wopt.jacobian import linearised

__all__ = ["FAR", "InexactInverse", "exact_inverse", "missed", "precise", "warn_of_missed"]


class InexactInverse(RuntimeWarning):
    """Samples that a flow does not carry back to what they were drawn from."""


FAR = 1e-2
"""By how much F(x) may miss y, as a share of 1 + |y|, before x is called no inverse of it."""

_NEAR = 2e-4
"""The same share up to which an inverse is left as it is: its log-density is that of the row."""
_CORRECTIONS, _REFINEMENTS, _NEWTON, _HALVINGS = 3, 5, 10, 6

M = TypeVar("M", bound=Module)

_FEW = 64
"""Coordinates up to which Newton's method has the whole Jacobian."""


def missed(at: Tensor, y: Tensor, share: float = FAR) -> Tensor:
    """Return where ``at`` is not ``y`` within a share of 1 + |y|; what is not finite is missed.

    Example:
        >>> missed(torch.tensor([[1.0], [1.5], [torch.nan]]), torch.ones(3, 1)).tolist()
        [False, True, True]
    """
    return ~(_distance(at, y) <= share * (1 + torch.linalg.vector_norm(y, dim=1)))


def warn_of_missed(at: Tensor, y: Tensor) -> None:
    """Warn, with a count, of samples that the flow carries to ``at`` and not to their draws y.

    Samples that are not finite are no part of it.
    """
    off = missed(at, y) & at.isfinite().all(1)
    if off.any():
        share = (_distance(at, y) / (1 + torch.linalg.vector_norm(y, dim=1)))[off]
        first = ", ".join(str(row) for row in off.nonzero()[:3, 0].tolist())
        warnings.warn(
            f"{int(off.sum())} of {len(y)} samples, first in row(s) {first} (from 0), are not "
            "where the model wants them: the map "
            f"carries them up to {float(share.max()):.2g} of 1 + |y| away from their draws y of "
            "the base law, being too steep to be inverted in this precision. Their log-density is "
            'that of the rows as they are; train with dtype = "float64", a smaller '
            "solver.learning_rate, or another block",
            InexactInverse,
            stacklevel=2,
        )


def precise(flow: M) -> M:
    """Return a flow that computes in float64, itself, where its device can.

    Whatever it was trained in: a steep map amplifies what is rounded away.
    """
    device = next((t.device.type for t in flow.buffers()), "cpu")
    return flow if device == "mps" else flow.double()


@torch.no_grad()
def exact_inverse(blocks: Sequence[FlowBlock], y: Tensor) -> tuple[Tensor, Tensor]:
    """Return x with F(x) = y, and  -log |det DF(x)|, for F the audited maps one after another.

    The blocks' own inverses come first. Where F misses y, copies in float64 go on, rows by rows:

    1. they invert what they should have been given instead, z + (y - F(G(z))) for their inverse G
       and z that was given so far, beginning with y. Where G is nearly F^-1 each such step costs
       one inverse and one audit and gains about as many digits as G has;
    2. they invert with finer grids, if they have some;
    3. Newton's method, with step halving, does what is left.

    Source: of the first, Stetter, *The defect correction principle and discretization methods*,
    Numerische Mathematik 29, 1978.

    Args:
        blocks: T_1, ..., T_N, which provide LOG_DET and INVERSE.
        y: Shape ``(n, d)``.

    Returns:
        x in float64, and the log-det, NaN where no x was found: where F(x) is further than
        ``FAR * (1 + |y|)`` from y. Up to that x is taken for what it is, and the log-det is that of
        x, so that densities agree with it; :func:`warn_of_missed` tells what is beyond.

    Raises:
        DivergenceError: A block refuses to invert, in float64 as well.

    Example:
        >>> import wopt
        >>> block = wopt.build("block", "affine").build(dim=2)
        >>> x, log_det = exact_inverse([block], torch.ones(3, 2))
        >>> x[0].tolist(), bool((log_det == 0).all())
        ([1.0, 1.0], True)
    """
    try:
        x = _undone(blocks, y)
        at, log_det = _audited(blocks, x)
        off = missed(at, y, _NEAR)
        x = x.double()
    except DivergenceError:  # in float64 it may be within reach
        x, at = torch.full_like(y, torch.nan).double(), torch.full_like(y, torch.nan)
        log_det = torch.zeros_like(y[:, 0])
        off = torch.ones_like(log_det, dtype=torch.bool)
    if not len(y) or not off.any():
        return x, -log_det
    log_det = log_det.double()
    known = x[off], at[off], log_det[off]
    x[off], log_det[off] = _mended(blocks, y[off].double(), *known, whole=y.dtype == torch.float64)
    return x, -log_det.to(y.dtype)


def _mended(
    blocks: Sequence[FlowBlock], y: Tensor, x: Tensor, at: Tensor, log_det: Tensor, *, whole: bool
) -> tuple[Tensor, Tensor]:
    """Return better inverses than ``x`` and log |det DF| there, NaN where F still misses y.

    Args:
        blocks: T_1, ..., T_N.
        y: What is to be inverted.
        x: Inverses so far.
        at: F(x).
        log_det: log |det DF(x)|.
        whole: Whether these were computed in float64.
    """
    finer = [copy.deepcopy(block).double() for block in blocks]
    if not whole or not x.isfinite().any():
        x = _undone(finer, y)
        at, log_det = _audited(finer, x)
    given = y.clone()
    for _ in range(_CORRECTIONS):
        rows = missed(at, y, _NEAR).nonzero()[:, 0]
        if not len(rows):
            return x, log_det
        given[rows] += y[rows] - at[rows]
        if not _take(rows, finer, _undone(finer, given[rows]), x, y, at, log_det).any():
            break
    for _ in range(_REFINEMENTS):
        rows = missed(at, y, _NEAR).nonzero()[:, 0]
        if not len(rows):
            return x, log_det
        if not sum(block.refine() for block in finer):
            break
        _take(rows, finer, _undone(finer, y[rows]), x, y, at, log_det)
    for _ in range(_NEWTON if y.shape[1] <= _FEW else 0):
        rows = missed(at, y, _NEAR).nonzero()[:, 0]
        if not len(rows) or not _newton_step(rows, finer, x, y, at, log_det):
            break
    lost = missed(at, y)
    return x, torch.where(lost, torch.nan, log_det)


def _newton_step(
    rows: Tensor, blocks: Sequence[FlowBlock], x: Tensor, y: Tensor, at: Tensor, log_det: Tensor
) -> bool:
    """Make a step at some rows, halved until it gains, in place; return whether any gains."""
    jacobian = linearised(lambda z: _moved(blocks, z), x[rows])[1]
    miss = (at - y)[rows]
    step = torch.linalg.solve_ex(jacobian, miss.nan_to_num())[0].nan_to_num()
    left, gained = rows, False
    for _ in range(_HALVINGS):
        better = _take(left, blocks, x[left] - step, x, y, at, log_det)
        gained = gained or bool(better.any())
        left, step = left[~better], step[~better] / 2
        if not len(left):
            break
    return gained


def _take(
    rows: Tensor,
    blocks: Sequence[FlowBlock],
    new: Tensor,
    x: Tensor,
    y: Tensor,
    at: Tensor,
    log_det: Tensor,
) -> Tensor:
    """Put new inverses in the place of those at some rows where F misses less; return where."""
    reached, changed = _audited(blocks, new)
    new_miss, old_miss = _distance(reached, y[rows]), _distance(at[rows], y[rows])
    better = (new_miss < 0.999 * old_miss) | (old_miss.isnan() & new_miss.isfinite())
    kept = rows[better]
    x[kept], at[kept], log_det[kept] = new[better], reached[better], changed[better]
    return better


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a - b, dim=1)


def _undone(blocks: Sequence[FlowBlock], y: Tensor) -> Tensor:
    for block in reversed(blocks):
        y = block.inverse(y)[0]
    return y


def _moved(blocks: Sequence[FlowBlock], x: Tensor) -> Tensor:
    for block in blocks:
        x = block.move(x)
    return x


def _audited(blocks: Sequence[FlowBlock], x: Tensor) -> tuple[Tensor, Tensor]:
    total = torch.zeros_like(x[:, 0])
    for block in blocks:
        x, log_det = block.audit(x)
        total = total + log_det
    return x, total
