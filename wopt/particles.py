"""Particles: weighted points that represent a probability measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.errors import CapabilityError, DataError
from wopt.renamed import old_method

_FIELDS = ("points", "weights", "log_det", "log_density_start", "context")


@dataclasses.dataclass(frozen=True)
class Particles:
    """Weighted points rho = sum_i w_i delta(x_i), with their density as far as it is known.

    Quadrature nodes with weights are particles too.

    Attributes:
        points: Positions, shape ``(n, d)``.
        weights: Non-negative weights, shape ``(n,)``, summing to one; ``None`` for equal weights.
        log_det: log |det DT| of the whole map since the start, shape ``(n,)``, nats; ``None`` if a
            block did not provide it.
        log_density_start: Log-density of the start at the particles' origins, shape ``(n,)``, nats;
            ``None`` if it is not known (data).
        context: Conditions of the particles, shape ``(n, k)``, which maps may depend on and no map
            changes; ``None`` if there are none.

    Example:
        >>> p = Particles(torch.tensor([[0.0], [2.0]]), torch.tensor([0.25, 0.75]))
        >>> float(p.mean(p.points[:, 0]))
        1.5
    """

    points: Tensor
    weights: Tensor | None = None
    log_det: Tensor | None = None
    log_density_start: Tensor | None = None
    context: Tensor | None = None

    def __post_init__(self) -> None:
        if self.points.ndim != 2:
            raise DataError(
                f"particles are points of shape (n, d), got shape {tuple(self.points.shape)}"
            )
        for name in _FIELDS[1:4]:
            value = getattr(self, name)
            if value is not None and value.shape != self.points.shape[:1]:
                raise DataError(
                    f"{name} of {len(self.points)} particles has shape ({len(self.points)},), "
                    f"got {tuple(value.shape)}"
                )

    @classmethod
    def start(
        cls,
        points: Tensor,
        weights: Tensor | None = None,
        log_density: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Particles:
        """Return particles before any map, of points ``(n, d)``, with log_det zero."""
        zero = torch.zeros(len(points), dtype=points.dtype, device=points.device)
        return cls(points, weights, zero, log_density, context)

    def __repr__(self) -> str:
        known = ", ".join(k for k in _FIELDS[1:4] if getattr(self, k) is not None) or "points alone"
        context = f" given {self.condition} conditions" if self.condition else ""
        return f"Particles({len(self)} in {self.dim} dimensions{context}; {known})"

    def __len__(self) -> int:
        return len(self.points)

    @property
    def dim(self) -> int:
        """The dimension d."""
        return self.points.shape[1]

    @property
    def condition(self) -> int:
        """Number k of conditions."""
        return 0 if self.context is None else self.context.shape[1]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What maps are called with: the points ``(n, d)``, and the context ``(n, k)`` if any."""
        return given(self.points, self.context)

    @property
    def log_density(self) -> Tensor:
        """log rho at the particles: the start's log-density minus log_det, shape ``(n,)``, nats.

        Raises:
            CapabilityError: The start's density, or a block's log_det, is not known.
        """
        if self.log_density_start is None:
            raise CapabilityError(
                "the particles' log-density is not known, because the start's is not (data known "
                "by samples only); a source with a density would provide it: gaussian, mixture"
            )
        if self.log_det is None:
            raise CapabilityError(
                "the particles' log-density is not known, because a block gave no log_det; "
                "choose a block that provides LOG_DET"
            )
        return self.log_density_start - self.log_det

    def shares(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return the weights, shape ``(n,)``, also if they are equal.

        Args:
            dtype: Dtype of the result; that of the points by default.

        Example:
            >>> Particles(torch.zeros(4, 1)).shares().tolist()
            [0.25, 0.25, 0.25, 0.25]
        """
        dtype = dtype or self.points.dtype
        if self.weights is not None:
            return self.weights.to(dtype)
        return self.points.new_full((len(self),), 1 / len(self), dtype=dtype)

    def mean(self, values: Tensor) -> Tensor:
        """Return the weighted mean of ``values``, shape ``(n, ...)`` to ``(...)``."""
        if self.weights is None:
            return values.mean(0)
        return torch.tensordot(self.weights, values, dims=1)

    def moved(self, points: Tensor, log_det: Tensor | None) -> Particles:
        """Return the image under a map with values ``(n, d)`` and log-det ``(n,)`` here."""
        if points.shape != self.points.shape:
            raise DataError(
                f"a map takes points of shape {tuple(self.points.shape)} to points of the same "
                f"shape, got {tuple(points.shape)}"
            )
        total = None if log_det is None or self.log_det is None else self.log_det + log_det
        return dataclasses.replace(self, points=points, log_det=total)

    @property
    def own(self) -> Particles:
        """The particles that this process holds: all of them."""
        return self

    def through(self, function: Callable[..., Any]) -> list[Tensor]:
        """Return the results, each ``(n, ...)``, of a function of points and context."""
        made = function(*self.inputs)
        return [made] if isinstance(made, Tensor) else list(made)

    def checksum(self) -> list[float]:
        """Return a checksum of the particles: their number, and sums of some of them."""
        few = torch.cat(self.inputs, dim=1)[:: max(1, len(self.points) // 1000)]
        return [len(self.points), *few.double().sum(0).tolist()]

    mark = old_method("mark", "checksum")

    def pick(self, values: Tensor, index: Tensor | slice) -> Tensor:
        """Return values of particles, shape ``(n, ...)``, at an index, ``(m,)``."""
        return values[index]

    def each(self, function: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Return a function of each tensor that is known, ``(n, ...)``, by the field's name."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return {name: function(value) for name, value in values.items() if value is not None}

    def rows(self, index: Tensor | slice) -> Particles:
        """Return the particles of an index, shape ``(m,)``; weights are renormalised."""
        some = self.each(lambda value: value[index])
        if self.weights is not None:
            some["weights"] = some["weights"] / some["weights"].sum()
        return Particles(**some)


def split_conditions(rows: Tensor, condition: int) -> tuple[Tensor, ...]:
    """Return what is modelled of rows, ``(..., d)``, and their conditions, ``(..., k)``, if any.

    Args:
        rows: Rows of a table, conditions last, shape ``(..., d + k)``.
        condition: Number k of conditions.

    Example:
        >>> [part.tolist() for part in split_conditions(torch.tensor([[1.0, 2.0, 3.0]]), 1)]
        [[[1.0, 2.0]], [[3.0]]]
    """
    return (rows[..., :-condition], rows[..., -condition:]) if condition else (rows,)
