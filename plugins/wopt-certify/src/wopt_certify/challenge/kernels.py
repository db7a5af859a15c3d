"""Kernel densities: on grids of one or two coordinates, and with a bandwidth of each centre."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

__all__ = ["Axis", "BivariateDensity", "KernelDensity", "MarginalDensity", "log_mean_kernel"]

_NODES = 128
_FAR = 0.003
"""Weight of the wide Gaussian in each mixture, so that no density is zero."""
_LIKE = (0.0, 0.1, 0.3, 0.6, 0.9, 1.0)
"""Candidate weights of the Gaussian with the same mean and variance: the weight 1 loses nothing
where there is nothing to learn."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """A grid of one coordinate, and a wide Gaussian on it."""

    low: float
    step: float
    mean: float
    scale: float

    @classmethod
    def of(cls, column: Tensor) -> Axis:
        """Return the grid that covers all but the outermost thousandths of a column ``(n,)``."""
        order = column.sort().values
        n = len(order)
        low, high = float(order[n // 1000]), float(order[-1 - n // 1000])
        margin = 0.1 * (high - low) + 1e-9
        step = (high - low + 2 * margin) / (_NODES - 1)
        return cls(low - margin, step, float(column.mean()), 2 * float(column.std()) + 1e-9)

    def at(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the node below x, the next one's weight, whether x is inside; shape ``(n,)``."""
        position = (x - self.low) / self.step
        node = position.floor().clamp(0, _NODES - 2)
        inside = (position >= 0) & (position <= _NODES - 1)
        return node.long(), (position - node).clamp(0, 1), inside

    def far(self, x: Tensor) -> Tensor:
        """Return the wide Gaussian's density at x, shape ``(n,)``, per unit of the coordinate."""
        return _normal((x - self.mean) / self.scale, self.scale)

    def like(self, x: Tensor) -> Tensor:
        """Return the density at x of the Gaussian with the column's moments, shape ``(n,)``."""
        return _normal(2 * (x - self.mean) / self.scale, self.scale / 2)


@dataclasses.dataclass(frozen=True)
class MarginalDensity:
    """Linear interpolation of a table, mixed with Gaussians, in coordinate j.

    Attributes:
        j: The coordinate.
        axis: Its grid.
        table: The density at the nodes, shape ``(nodes,)``.
        like: Weight of the Gaussian of the same mean and variance.
    """

    j: int
    axis: Axis
    table: Tensor
    like: float = 0.0

    @classmethod
    def of(cls, fit: Tensor, axes: list[Axis], j: int, width: float) -> MarginalDensity:
        """Return the kernel density of column j of rows ``(n, d)``; width in deviations."""
        axis = axes[j]
        node, fraction, inside = axis.at(fit[:, j])
        counts = torch.zeros(_NODES, dtype=torch.float64)
        counts.index_add_(0, node, (1 - fraction) * inside)
        counts.index_add_(0, node + 1, fraction * inside)
        table = _kernel(axis, width) @ counts
        return cls(j, axis, table / (_trapezoid(table) * axis.step))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p(x_j) in nats, shape ``(n,)``, at points ``(n, d)``."""
        return _mix(self.like, *self._parts(points)).log()

    def mixed(self, hold: Tensor) -> MarginalDensity:
        """Return the density with the Gaussian's weight that fits rows ``(n, d)`` best."""
        parts = self._parts(hold)
        logs = {like: _mix(like, *parts).log() for like in _LIKE}
        return dataclasses.replace(self, like=_clearly_best(logs))

    def _parts(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = points[:, self.j]
        return _interpolate(self.table, self.axis, x), self.axis.like(x), self.axis.far(x)


@dataclasses.dataclass(frozen=True)
class BivariateDensity:
    """The density of coordinates (i, j), and the conditional density of j given i.

    Attributes:
        first, second: The densities of the coordinates alone.
        table: The joint density at the nodes, shape ``(nodes, nodes)``.
        like: Weight of the product of ``first`` and ``second``.
    """

    first: MarginalDensity
    second: MarginalDensity
    table: Tensor
    like: float = 0.0

    @classmethod
    def of(
        cls, fit: Tensor, one: MarginalDensity, other: MarginalDensity, width: float
    ) -> BivariateDensity:
        """Return the kernel density for rows ``(n, d)``; width in standard deviations."""
        (i, first), (j, second) = (one.j, one.axis), (other.j, other.axis)
        table = _binned(fit[:, i], fit[:, j], first, second)
        table = _kernel(first, width) @ table @ _kernel(second, width).T
        whole = float(_trapezoid(_trapezoid(table))) * first.step * second.step
        return cls(one, other, table / whole)

    def given(self, points: Tensor) -> Tensor:
        """Return log p(x_j | x_i) in nats, shape ``(n,)``, at points ``(n, d)``."""
        return self._given(self.like, *self._parts(points))

    def mixed(self, hold: Tensor) -> BivariateDensity:
        """Return the density with the weight of the product that fits rows ``(n, d)`` best."""
        parts = self._parts(hold)
        logs = {like: self._given(like, *parts) for like in _LIKE}
        return dataclasses.replace(self, like=_clearly_best(logs))

    def _given(self, like: float, *parts: tuple[Tensor, Tensor]) -> Tensor:
        both, alone = zip(*parts, strict=True)
        return (_mix(like, *both) / _mix(like, *alone)).log()

    def _parts(self, points: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the components of the mixture, in the plane and in the first coordinate alone."""
        first, second = self.first.axis, self.second.axis
        x, y = points[:, self.first.j], points[:, self.second.j]
        a, s, inside_x = first.at(x)
        b, t, inside_y = second.at(y)
        w = self.table
        both = (1 - s) * ((1 - t) * w[a, b] + t * w[a, b + 1])
        both = both + s * ((1 - t) * w[a + 1, b] + t * w[a + 1, b + 1])
        marginal = _trapezoid(w) * second.step
        like, far = self.first(points).exp(), first.far(x)
        return [
            (both * (inside_x & inside_y), _interpolate(marginal, first, x)),
            (like * self.second(points).exp(), like),
            (far * second.far(y), far),
        ]


def _clearly_best(logs: dict[float, Tensor]) -> float:
    """Return the weight with the largest gain over weight 1, less one standard error."""

    def gain(like: float) -> float:
        values = logs[like] - logs[1.0]
        return float(values.mean() - values.std() / math.sqrt(len(values)))

    return max(logs, key=gain)


def _mix(like: float, near: Tensor, gaussian: Tensor, far: Tensor) -> Tensor:
    return (1 - _FAR) * ((1 - like) * near + like * gaussian) + _FAR * far


def _normal(z: Tensor, scale: float) -> Tensor:
    return (-z.square() / 2).exp() / (scale * math.sqrt(2 * math.pi))


def _interpolate(table: Tensor, axis: Axis, x: Tensor) -> Tensor:
    node, fraction, inside = axis.at(x)
    return ((1 - fraction) * table[node] + fraction * table[node + 1]) * inside


def _trapezoid(table: Tensor) -> Tensor:
    """Return the integral over the last axis, for nodes one apart."""
    return table.sum(-1) - (table[..., 0] + table[..., -1]) / 2


def _binned(x: Tensor, y: Tensor, first: Axis, second: Axis) -> Tensor:
    """Return counts, distributed linearly to the nodes around, shape ``(nodes, nodes)``."""
    a, s, inside_x = first.at(x)
    b, t, inside_y = second.at(y)
    keep = (inside_x & inside_y).double()
    counts = torch.zeros(_NODES * _NODES, dtype=torch.float64)
    for node, weight in (
        (a * _NODES + b, (1 - s) * (1 - t)),
        (a * _NODES + b + 1, (1 - s) * t),
        ((a + 1) * _NODES + b, s * (1 - t)),
        ((a + 1) * _NODES + b + 1, s * t),
    ):
        counts.index_add_(0, node, weight * keep)
    return counts.reshape(_NODES, _NODES)


def _kernel(axis: Axis, width: float) -> Tensor:
    """Return the Gaussian blur of a bandwidth (in standard deviations), ``(nodes, nodes)``."""
    nodes = torch.arange(_NODES, dtype=torch.float64)
    h = max(width * axis.scale / 2 / axis.step, 0.3)
    return (-((nodes[:, None] - nodes) / h).square() / 2).exp()


_CENTRES = 6000
_BANDWIDTHS = (0.1, 0.16, 0.25, 0.4, 0.63, 1.0)
"""Bandwidths in multiples of Silverman's n^(-1/(d + 4)); far from Gaussian the small ones fit."""
_HOLD_ROWS = 700
_NEAR = 2
"""Number of places around the best equal bandwidth at which adaptive ones are tried."""


class KernelDensity:
    """p(x) = 1/n sum_i N(x; x_i, h_i^2 I),  h_i = h (pilot(x_i)/g)^(-a),  a = 0 or 1/2.

    Bandwidth h and exponent a are chosen by the likelihood of held-out rows. g is the geometric
    mean of the pilot density, that with equal bandwidths.

    Source: Abramson, *On bandwidth variation in kernel estimates*, 1982.

    Args:
        fit: Centres, shape ``(n, d)``; at most 6000 of them are used.
        hold: Rows on which the bandwidth is chosen, shape ``(m, d)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(3000, 1, generator=rng, dtype=torch.float64)
        >>> density = KernelDensity(x[:2000], x[2000:])
        >>> abs(float(density(x.new_zeros(1, 1))) + 0.919) < 0.1  # log 1/sqrt(2 pi)
        True
    """

    def __init__(self, fit: Tensor, hold: Tensor) -> None:
        self.centres = fit[:_CENTRES].double()
        n, d = self.centres.shape
        hold = hold[:_HOLD_ROWS].double()
        base = float(self.centres.std(0).mean()) * n ** (-1 / (d + 4))
        flat = self.centres.new_zeros(n)
        trials = [(h * base, flat) for h in _BANDWIDTHS]
        values = [self._value(hold, *trial) for trial in trials]
        at = max(range(len(trials)), key=lambda k: values[k])
        pilot = log_mean_kernel(self.centres, self.centres, flat + math.log(trials[at][0]))
        bent = -0.5 * (pilot - pilot.mean())
        # The clamp limits the width of centres far out.
        bent = bent.clamp(max=math.log(8.0))
        near = _BANDWIDTHS[max(at - _NEAR, 0) : at + _NEAR]
        adaptive = [(h * base, bent) for h in near]
        values += [self._value(hold, *trial) for trial in adaptive]
        trials += adaptive
        at = max(range(len(trials)), key=lambda k: values[k])
        self.bandwidth = trials[at][0]
        self.log_widths: Tensor = math.log(self.bandwidth) + trials[at][1]

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        return log_mean_kernel(points.double(), self.centres, self.log_widths)

    def _value(self, hold: Tensor, h: float, bent: Tensor) -> float:
        return float(log_mean_kernel(hold, self.centres, math.log(h) + bent).mean())


def log_mean_kernel(points: Tensor, centres: Tensor, log_widths: Tensor) -> Tensor:
    """Return log 1/n sum_i N(x; x_i, h_i^2 I) in nats, shape ``(m,)``, at points ``(m, d)``.

    Centres x_i have shape ``(n, d)``, ``log_widths`` log h_i shape ``(n,)``. Points are processed
    in parts of bounded memory.
    """
    n, d = centres.shape
    constant = -d * log_widths - d / 2 * math.log(2 * math.pi) - math.log(n)
    halves = (-2 * log_widths).exp() / 2
    middle = centres.mean(0)
    centred, squares = centres - middle, (centres - middle).square().sum(1)
    found = []
    for part in torch.split(points - middle, max(1, 4_000_000 // n)):
        distances = torch.addmm(squares, part, centred.T, alpha=-2)
        distances.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
        found.append(distances.mul_(-halves).add_(constant).logsumexp(1))
    return torch.cat(found)
