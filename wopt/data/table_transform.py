"""The preprocessing of a table whose columns are bounded, discrete or bent to be normal."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.data.columns import Columns
from wopt.data.quantile_transform import QuantileTransform, normal_log_density
from wopt.data.transform import Affine, AffineTransform, How, check_size
from wopt.errors import DataError
from wopt.statistics import mean_and_error, some

KNOTS = 8
"""Knots of a curve: enough for skewness, tails and ends. Modes are left to the flow, as curves of
more knots make sheets and clusters wavy; see docs/benchmarks.md."""

_LEAST = 80
"""Least number of rows for a curve, which is fitted to half of them."""

_BEYOND = 2
"""Number of rows beyond the last knot on either side."""

_ROWS = 10_000
"""Largest number of rows on which the gain of a curve is estimated."""

_ATOM = 0.05
"""Fraction of rows with one value above which a column has an atom, and no density."""

_MARGIN = 0.05
"""Least gain of a curve, in nats, on the rows to which it was not fitted."""

_MOST = 10.0
"""Largest gain of one row, in nats: outliers, for which a Gaussian is most wrong, would make the
gain's error as large as itself. The clipped gain is a lower bound."""


def gaussianised(columns: Columns, encoded: Tensor) -> Columns:
    """Return the columns with a curve where it gains likelihood, see :func:`curve_of`.

    Categories and conditions have no curve. Training rows ``(n, d)`` are on the line, in random
    order.
    """
    made = list(columns.columns)
    for j, column in enumerate(columns.moved):
        if column.kind != "categorical":
            made[j] = dataclasses.replace(column, curve=curve_of(encoded[:, j]))
    return dataclasses.replace(columns, columns=tuple(made))


def curve_of(x: Tensor) -> QuantileTransform | None:
    """Return the increasing map that makes a column nearly normal; ``None`` if none gains.

    Knots are empirical quantiles x_k at evenly spaced values z_k = Phi^-1(p_k); a slope is the
    geometric mean of both secants. A curve fitted to one half of the rows has to gain 0.05 nats
    and two standard errors over a Gaussian on the other half (at most ten nats a row). Source:
    Chen and Gopinath (2000), Gaussianization, NIPS.

    Args:
        x: The column in random order, shape ``(n,)``, float64.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> z = torch.randn(2000, generator=rng, dtype=torch.float64)
        >>> curve_of(z), bool((curve_of(z.exp()).move(z.exp()) - z).abs().mean() < 0.05)
        (None, True)
    """
    if len(x) < _LEAST or float(x.unique(return_counts=True)[1].max()) > _ATOM * len(x):
        return None
    few = x[:_ROWS]
    known, judges = few[: len(few) // 2].sort().values, few[len(few) // 2 :]
    curve = through_quantiles(known)
    if curve is None:
        return None
    gains = curve.log_density(judges) - _gaussian(known, judges)
    gain = mean_and_error(gains.clamp_max(_MOST))
    if not gain.value > max(_MARGIN, 2 * gain.error):
        return None
    return through_quantiles(x.sort().values)


def _gaussian(known: Tensor, x: Tensor) -> Tensor:
    scale = known.std().clamp_min(1e-300)
    return normal_log_density((x - known.mean()) / scale) - scale.log()


def through_quantiles(x: Tensor, knots: int = KNOTS) -> QuantileTransform | None:
    """Return the curve of sorted values, shape ``(n,)``; ``None`` if too few differ."""
    n = len(x)
    last = -torch.special.ndtri(x.new_tensor(_BEYOND / n))
    z = torch.linspace(-1, 1, knots, dtype=x.dtype) * last
    at = (n * torch.special.ndtr(z) - 0.5).clamp(0, n - 1)
    below = at.floor().long().clamp(max=n - 2)
    quantiles = torch.lerp(x[below], x[below + 1], at - below)
    kept = _apart(quantiles)
    if len(kept) < 4:
        return None
    q, z = quantiles[kept], z[kept]
    return QuantileTransform(tuple(q.tolist()), tuple(z.tolist()), tuple(_slopes(q, z).tolist()))


def _apart(quantiles: Tensor) -> list[int]:
    """Return the knots whose quantiles differ."""
    least = 1e-9 * float(quantiles[-1] - quantiles[0])
    kept, values = [0], quantiles.tolist()
    for k in range(1, len(values)):
        if values[k] - values[kept[-1]] > least:
            kept.append(k)
    return kept


def _slopes(x: Tensor, z: Tensor) -> Tensor:
    """Return slopes at knots: geometric means of the secants, extrapolated at the ends."""
    h, secants = z.diff(), (z.diff() / x.diff()).log()
    inner = (h[1:] * secants[:-1] + h[:-1] * secants[1:]) / (h[1:] + h[:-1])
    ends = 2 * secants[0] - inner[0], 2 * secants[-1] - inner[-1]
    return torch.cat([ends[0][None], inner, ends[1][None]]).exp()


_MOST_BENT, _LEAST_BENT = 2**21, 10_000
"""Largest number of values, and least number of rows, to which curves are fitted."""


def fit_transform(train: Tensor, how: How, columns: Columns) -> AffineTransform:
    """Fit the preprocessing of columns on training rows, shape ``(n, d)``, in the data's units.

    Evenly spaced rows are used if there are many, or all of them if a column is constant on those.
    """
    few = some(train)
    try:
        return _fit(few, how, columns)
    except DataError:
        if len(few) == len(train):
            raise
        return _fit(train, how, columns)


_AFFINE: dict[How, Affine] = {
    "none": "none", "standardise": "standardise", "whiten": "whiten", "gaussianise": "whiten",
    "marginals": "standardise", "principal": "rotate",
}  # fmt: skip
"""The affine map of each choice, which follows the curves of columns, if any."""

_CURVED = ("gaussianise", "marginals", "principal")


def _fit(train: Tensor, how: How, columns: Columns) -> AffineTransform:
    encoded = columns.encode(train.double())
    if how in _CURVED:
        check_size(encoded, columns.names)  # samples are as large as the data
        most = max(_LEAST_BENT, _MOST_BENT // train.shape[1])
        few = train[:: max(1, math.ceil(len(train) / most))]
        columns = gaussianised(columns, columns.encode(few.double()))
        encoded = columns.encode((few if columns.curves else train).double())
    for j, column in enumerate(columns.columns):
        if column.mask and bool((encoded[:, j] == encoded[0, j]).all()):
            # A value that is rarely missing may never be in training rows; give 0 and 1 a scale.
            encoded[:, j] = torch.arange(len(encoded)) % 2
    affine = AffineTransform.fit(encoded, _AFFINE[how], columns.names, columns.condition)
    affine.columns = None if columns.plain else columns
    return affine
