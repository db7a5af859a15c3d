"""Inverses of trained maps, checked by the audited map and corrected in float64."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import Module

from wopt.bijection import given
from wopt.errors import DivergenceError
from wopt.interfaces.block import FlowBlock
from wopt.jacobian import linearised


class InexactInverse(RuntimeWarning):
    """Warning of samples that a flow does not map back to their draws of the base law."""


FAR = 1e-2
"""Largest error |F(x) - y|, as a fraction of 1 + |y|, at which x counts as the inverse of y."""

_NEAR = 2e-4
"""The same fraction up to which an inverse is not corrected."""
_CORRECTIONS, _REFINEMENTS, _NEWTON, _HALVINGS = 3, 5, 10, 6

M = TypeVar("M", bound=Module)

_FEW = 64
"""Largest dimension in which Newton's method is used, with the whole Jacobian."""


def missed(at: Tensor, y: Tensor, fraction: float = FAR) -> Tensor:
    """Return where ``at`` is not ``y``, ``(n, d)``, within a fraction of 1 + |y|, shape ``(n,)``.

    Points that are not finite are missed.

    Example:
        >>> missed(torch.tensor([[1.0], [1.5], [torch.nan]]), torch.ones(3, 1)).tolist()
        [False, True, True]
    """
    return ~(_distance(at, y) <= fraction * (1 + torch.linalg.vector_norm(y, dim=1)))


def warn_of_missed(at: Tensor, y: Tensor) -> None:
    """Warn of samples whose images ``at`` differ from their draws ``y``, both ``(n, d)``.

    Samples that are not finite are ignored.
    """
    off = missed(at, y) & at.isfinite().all(1)
    if off.any():
        fraction = (_distance(at, y) / (1 + torch.linalg.vector_norm(y, dim=1)))[off]
        first = ", ".join(str(row) for row in off.nonzero()[:3, 0].tolist())
        warnings.warn(
            f"{int(off.sum())} of {len(y)} samples, first in row(s) {first} (from 0), are "
            "inexact: the map "
            f"carries them up to {float(fraction.max()):.2g} of 1 + |y| away from their draws y of "
            "the base law, being too steep to be inverted in this precision. Their log-density is "
            'that of the rows as they are; train with dtype = "float64", a smaller '
            "solver.learning_rate, or another block",
            InexactInverse,
            stacklevel=2,
        )


def precise(flow: M) -> M:
    """Convert a flow to float64 in place, if its device supports it, and return it.

    A steep map amplifies rounding errors, whatever precision it was trained in.
    """
    device = next((t.device.type for t in flow.buffers()), "cpu")
    return flow if device == "mps" else flow.double()


@torch.no_grad()
def exact_inverse(
    blocks: Sequence[FlowBlock], y: Tensor, c: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return x with F(x) = y, ``(n, d)``, and  -log |det DF(x)|, ``(n,)``, F the audited maps.

    The blocks' own inverses G come first. Rows where F(x) misses y are corrected by copies of the
    blocks in float64:

    1. by defect correction, which inverts z + (y - F(G(z))) instead of z, beginning with z = y.
       Where G is nearly F^-1 each such step costs one inverse and one audit and gains about as many
       digits as G has;
    2. by finer grids, if the blocks have them;
    3. by Newton's method with step halving.

    Source: of the first, Stetter, *The defect correction principle and discretization methods*,
    Numerische Mathematik 29, 1978.

    Args:
        blocks: T_1, ..., T_N, which provide LOG_DET and INVERSE.
        y: Points, shape ``(n, d)``.
        c: Conditions, shape ``(n, k)``, in the blocks' coordinates.

    Returns:
        x in float64, and the log-det at x, or NaN where F(x) is further than ``FAR * (1 + |y|)``
        from y.

    Example:
        >>> import wopt
        >>> block = wopt.build("block", "affine").build(dim=2)
        >>> x, log_det = exact_inverse([block], torch.ones(3, 2))
        >>> x[0].tolist(), bool((log_det == 0).all())
        ([1.0, 1.0], True)
    """
    maps = _Maps(blocks, c)
    if any(block.folds for block in blocks):  # F may carry x to another point with this inverse
        return maps.inverse(y)
    try:
        x = maps.invert(y)
        at, log_det = maps.audit(x)
        off = missed(at, y, _NEAR)
        x = x.double()
    except DivergenceError:  # float64 may succeed
        x, at = torch.full_like(y, torch.nan).double(), torch.full_like(y, torch.nan)
        log_det = torch.zeros_like(y[:, 0])
        off = torch.ones_like(log_det, dtype=torch.bool)
    if not len(y) or not off.any():
        return x, -log_det
    log_det = log_det.double()
    known = x[off], at[off], log_det[off]
    whole = y.dtype == torch.float64
    x[off], log_det[off] = _mended(maps.rows(off).finer(), y[off].double(), *known, whole=whole)
    return x, -log_det.to(y.dtype)


@dataclasses.dataclass(frozen=True)
class _Maps:
    """Blocks, one after the other, given conditions of each row."""

    blocks: Sequence[FlowBlock]
    c: Tensor | None

    def rows(self, index: Tensor) -> _Maps:
        """Return the maps at rows, shape ``(m,)``."""
        return _Maps(self.blocks, None if self.c is None else self.c[index])

    def finer(self) -> _Maps:
        """Return copies in float64."""
        blocks = [copy.deepcopy(block).double() for block in self.blocks]
        return _Maps(blocks, None if self.c is None else self.c.double())

    def invert(self, y: Tensor) -> Tensor:
        """Return the points before the maps, shape ``(n, d)``."""
        return self.inverse(y)[0]

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points before the maps, ``(n, d)``, and the log-det of that, ``(n,)``."""
        total = torch.zeros_like(y[:, 0])
        for block in reversed(self.blocks):
            y, log_det = block.inverse(*given(y, self.c))
            total = total + log_det
        return y, total

    def move(self, x: Tensor) -> Tensor:
        """Return the points after the maps, shape ``(n, d)``."""
        for block in self.blocks:
            x = block.move(*given(x, self.c))
        return x

    def audit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points after the audited maps, ``(n, d)``, and log-det, ``(n,)``."""
        total = torch.zeros_like(x[:, 0])
        for block in self.blocks:
            x, log_det = block.audit(*given(x, self.c))
            total = total + log_det
        return x, total


def _mended(
    maps: _Maps, y: Tensor, x: Tensor, at: Tensor, log_det: Tensor, *, whole: bool
) -> tuple[Tensor, Tensor]:
    """Return better inverses than ``x`` and log |det DF| there, NaN where F still misses y."""
    if not whole or not x.isfinite().any():
        x = maps.invert(y)
        at, log_det = maps.audit(x)
    aimed = y.clone()

    def correct(rows: Tensor) -> bool:
        """Aim at y plus the miss, at rows ``(n,)``; return whether any improved."""
        aimed[rows] += y[rows] - at[rows]
        new = maps.rows(rows).invert(aimed[rows])
        return bool(_take(rows, maps, new, x, y, at, log_det).any())

    def refine(rows: Tensor) -> bool:
        """Refine the blocks and invert anew at rows ``(n,)``; return whether any could be."""
        finer = bool(sum(block.refine() for block in maps.blocks))
        if finer:
            _take(rows, maps, maps.rows(rows).invert(y[rows]), x, y, at, log_det)
        return finer

    def newton(rows: Tensor) -> bool:
        """Make a step of Newton's method at rows ``(n,)``; return whether any improved."""
        return _newton_step(rows, maps, x, y, at, log_det)

    least = _NEWTON if y.shape[1] <= _FEW else 0
    for improved, times in ((correct, _CORRECTIONS), (refine, _REFINEMENTS), (newton, least)):
        for _ in range(times):
            rows = missed(at, y, _NEAR).nonzero()[:, 0]
            if not len(rows):
                return x, log_det
            if not improved(rows):
                break
    return x, torch.where(missed(at, y), torch.nan, log_det)


def _newton_step(
    rows: Tensor, maps: _Maps, x: Tensor, y: Tensor, at: Tensor, log_det: Tensor
) -> bool:
    """Make a step at some rows, halved until it improves, in place; return whether any improved."""
    jacobian = linearised(maps.rows(rows).move, x[rows])[1]
    miss = (at - y)[rows]
    step = torch.linalg.solve_ex(jacobian, miss.nan_to_num())[0].nan_to_num()
    left, gained = rows, False
    for _ in range(_HALVINGS):
        better = _take(left, maps, x[left] - step, x, y, at, log_det)
        gained = gained or bool(better.any())
        left, step = left[~better], step[~better] / 2
        if not len(left):
            break
    return gained


def _take(
    rows: Tensor, maps: _Maps, new: Tensor, x: Tensor, y: Tensor, at: Tensor, log_det: Tensor
) -> Tensor:
    """Replace inverses at rows where the new ones are better, in place; return where."""
    reached, changed = maps.rows(rows).audit(new)
    new_miss, old_miss = _distance(reached, y[rows]), _distance(at[rows], y[rows])
    better = (new_miss < 0.999 * old_miss) | (old_miss.isnan() & new_miss.isfinite())
    kept = rows[better]
    x[kept], at[kept], log_det[kept] = new[better], reached[better], changed[better]
    return better


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a - b, dim=1)
