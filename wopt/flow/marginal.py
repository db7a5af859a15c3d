"""Rows with gaps: the density of what is seen, and values of what is missing, by weighted draws."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.frames import FrameType, arrow_table, as_table, is_frame
from wopt.data.rows import as_rows
from wopt.data.tables import coordinates
from wopt.memory import PIECE
from wopt.statistics import normal_log_prob

if TYPE_CHECKING:
    from wopt.flow.flow import Flow

Fill = Literal["draw", "mean"]

DRAWS = 256
"""Draws of what is missing, for each row."""

_SAMPLES = 4096
"""Samples of the model, whose moments the draws have."""


def density_of_seen(flow: Flow, x: Tensor, audit: bool) -> Tensor:
    """Return log-densities of rows ``(n, d)`` of which some have a gap, with a warning."""
    value, error = log_marginal(flow, x, audit=audit)
    gaps = x.isnan()
    names = flow.names or coordinates(flow.dim)
    of = ", ".join(names[j] for j in gaps.any(0).nonzero()[:, 0].tolist())
    guessed, text = error > 0, f"{int(gaps.any(1).sum())} row(s) have gaps in {of}"
    if bool(guessed.any()):
        text += (
            "; their log-densities are estimates of the marginal of what is seen, with standard "
            f"errors about {float(error[guessed].median()):.2g} nats (wopt.flow.log_marginal has "
            "them)"
        )
    if bool(error.isnan().any()):
        text += "; the model has no law of its conditions, so rows without one get NaN"
    warnings.warn(text, UserWarning, stacklevel=3)
    return value


@torch.no_grad()
def log_marginal(
    flow: Flow, x: Any, *, draws: int = DRAWS, seed: int = 0, audit: bool = False
) -> tuple[Tensor, Tensor]:
    """Estimate log p(seen) of rows, where what is not seen is NaN, with standard errors.

        p(seen) = E_q [p(seen, missing) / q(missing | seen)],

    with draws of q, half of them of the Gaussian with the model's moments on the line given what is
    seen, half of its marginal. Complete rows are exact.

    Args:
        x: Rows of any type, shape ``(n, d)``.
        audit: As for :meth:`Flow.log_prob <wopt.flow.flow.Flow.log_prob>`.

    Returns:
        Shapes ``(n,)``, nats; the error is that of the logarithm of a mean of K weights. Both are
        NaN where a condition is missing.

    Source: Owen, Zhou (2000), Safe and effective importance sampling, JASA.
    """
    x = as_rows(x, flow.names, None, flow.condition, flow.columns)
    gaps = x.isnan()
    whole, known = ~gaps.any(1), ~gaps[:, flow.dim - flow.condition :].any(1)
    value = x.new_full((len(x),), math.nan, dtype=torch.float64)
    error = value.clone()
    if bool(whole.any()):
        value[whole], error[whole] = flow.log_prob(x[whole], audit=audit).to(value), 0.0
    where = known & ~whole
    if not bool(where.any()):
        return value, error
    rng = torch.Generator().manual_seed(seed)
    parts = _completed(flow, x[where].double(), gaps[where], draws, rng, audit)
    log_weights = torch.cat([log_weights for _, log_weights in parts])
    mean = log_weights.logsumexp(1) - math.log(draws)
    value[where] = mean
    error[where] = (log_weights - mean[:, None]).exp().std(1) / math.sqrt(draws)
    return value, error


@torch.no_grad()
def imputed(flow: Flow, x: Any, how: Literal["draw", "mean"], rng: torch.Generator | None) -> Any:
    """Return a table with its gaps filled, see :meth:`Flow.impute`."""
    columns = flow.described
    rng = rng or torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    rows = as_rows(x, flow.names, None, flow.condition, flow.columns).double().clone()
    moved = len(columns.moved)
    gaps = rows.isnan() | columns.seen(rows).isnan()
    gaps[:, moved:] = False
    where = gaps.any(1).nonzero()[:, 0]

    def of(values: Tensor, log_weights: Tensor) -> Tensor:
        """Return a row of each ``(n, K, r)`` by weights ``(n, K)``: a draw, or the mean."""
        weights = log_weights.softmax(1).nan_to_num(1 / DRAWS)
        if how == "draw":
            chosen = weights.multinomial(1, generator=rng)[:, 0]
            return values[torch.arange(len(values)), chosen]
        mean = (weights[:, :, None] * values).sum(1)
        for j in (j for j, column in enumerate(columns.moved) if column.kind == "categorical"):
            codes = values[:, :, j].round().clamp(min=0).long()
            masses = weights.new_zeros(len(codes), int(codes.max()) + 1)
            mean[:, j] = masses.scatter_add(1, codes, weights).argmax(1).double()
        return mean

    if len(where):
        parts = [of(*part) for part in _completed(flow, rows[where], gaps[where], DRAWS, rng)]
        rows[where] = torch.where(gaps[where], columns.round(torch.cat(parts)), rows[where])
    return _like(columns, x, rows)


def _like(columns: Columns, x: Any, rows: Tensor) -> Any:
    """Return filled rows in the type of x; what was there is kept as it was."""
    if not is_frame(x):
        shown = rows[:, [j for j, column in enumerate(columns.columns) if not column.mask]]
        return shown.to(x) if isinstance(x, Tensor) else shown.numpy()
    import pyarrow.compute

    old, new = as_table(x), arrow_table(rows, columns)
    for name in set(old.column_names) & set(new.column_names):
        at, filled = old.column_names.index(name), new.column(name)
        if filled.null_count == len(filled):
            continue
        values = old.column(name).cast(filled.type, safe=False)
        missing = values.is_null(nan_is_null=True)
        old = old.set_column(at, name, pyarrow.compute.if_else(missing, filled, values))
    return FrameType.of(x).frame(old)


def _completed(
    flow: Flow, x: Tensor, gaps: Tensor, draws: int, rng: torch.Generator, audit: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows with draws of what is missing, ``(m, K, d)``, and log-weights, ``(m, K)``."""
    columns = flow.described
    samples = flow.rsample((_SAMPLES,), generator=rng).double().cpu()
    samples = samples[samples.isfinite().all(1)]
    known, line = ~columns.seen(samples).isnan(), columns.encode(samples)
    propose = functools.cache(
        lambda pattern: _Proposal(columns, line, known, torch.tensor(pattern))
    )
    step = max(1, PIECE // draws)
    for rows, missing in zip(x.split(step), gaps.split(step), strict=True):
        filled = rows[:, None].expand(-1, draws, -1).clone()
        log_q = rows.new_zeros(len(rows), draws)
        encoded = columns.encode(rows)
        patterns, at = missing.unique(dim=0, return_inverse=True)
        for k, pattern in enumerate(patterns.tolist()):
            some = (at == k).nonzero()[:, 0]
            values, log_q[some] = propose(tuple(pattern)).draw(encoded[some], draws, rng)
            filled[some[:, None], :, missing[some[0]].nonzero()[:, 0]] = values.permute(0, 2, 1)
        log_p = (
            flow.log_prob(filled.flatten(0, 1), audit=audit)
            .double()
            .cpu()
            .reshape(len(rows), draws)
        )
        yield filled, log_p - log_q


class _Proposal:
    """Half a Gaussian given what is seen and half its marginal, on the line, of some columns."""

    def __init__(self, columns: Columns, line: Tensor, known: Tensor, missing: Tensor) -> None:
        here = line[known[:, missing].all(1)]
        here = here if len(here) > len(missing) else line
        self.seen = ~missing
        self.columns = columns.pick([columns.names[j] for j in missing.nonzero()[:, 0]])
        self.most = _below_gaps(self.columns)
        self.mean, self.scale = here.mean(0), here.std(0)
        self.scale = self.scale.where(self.scale > 0, 1.0)
        covariance = torch.cov(((here - self.mean) / self.scale).T).reshape(2 * missing.shape)
        across, wide = covariance[missing][:, self.seen], covariance[missing][:, missing]
        seen = covariance[self.seen][:, self.seen]
        self.slope = across @ torch.linalg.pinv(seen, rtol=_ROUNDING, hermitian=True)
        self.factors = _factor(wide - self.slope @ across.T), _factor(wide)

    def draw(self, line: Tensor, draws: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return values of missing columns, shape ``(m, K, r)``, and log-densities ``(m, K)``."""
        given = (((line - self.mean) / self.scale)[:, self.seen] @ self.slope.T)[:, None]
        size = (len(line), draws, given.shape[2])
        near, far = torch.randn(size, generator=rng, dtype=line.dtype).tensor_split(2, dim=1)
        drawn = torch.cat([given + near @ self.factors[0].T, far @ self.factors[1].T], dim=1)
        zero = drawn.new_zeros(size[2])
        densities = [
            normal_log_prob(z.flatten(0, 1), zero, factor).reshape(size[:2]) + math.log(part)
            for z, factor, part in zip(
                (drawn - given, drawn), self.factors, (near.shape[1] / draws, far.shape[1] / draws),
                strict=True,
            )
        ]  # fmt: skip
        mean, scale = self.mean[~self.seen], self.scale[~self.seen]
        z = mean + scale * drawn
        z = torch.where(z > self.most, 2 * self.most - z, z)  # a gap is no value
        values, log_slope = self.columns.inverse(z)
        return values, torch.logaddexp(*densities) - scale.log().sum() - log_slope


def _below_gaps(columns: Columns) -> Tensor:
    """Return where the cell of a gap, the last one, begins on the line, shape ``(d,)``."""
    edges = [
        c.fill - c.cells.width / 2 if c.cells and c.fill is not None else math.inf
        for c in columns.columns
    ]
    line = columns.encode(torch.tensor([edges], dtype=torch.float64))[0]
    return line.where(line.new_tensor(edges).isfinite(), math.inf)


_ROUNDING = torch.finfo(torch.float64).eps ** 0.5


def _factor(covariance: Tensor) -> Tensor:
    """Return the Cholesky factor of a covariance, whose rounding may be of either sign."""
    values, vectors = torch.linalg.eigh(covariance)
    return torch.linalg.cholesky((vectors * values.clamp_min(_ROUNDING)) @ vectors.T)
