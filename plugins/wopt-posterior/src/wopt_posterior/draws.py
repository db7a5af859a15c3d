"""Draws of a density: moments, quantiles, a table, and what is known of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.errors import ConfigError
from wopt.html import paragraph, table
from wopt_posterior.diagnostics.report import SamplerReport
from wopt_posterior.reference import Reference
from wopt_posterior.summary import tail_shape, to_arviz, variables

_INFINITE = 0.5
"""Pareto shape of a tail from which there is no variance."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class MeasuredDraws:
    """Draws of a density with diagnostics.

    Attributes:
        draws: The draws, in the coordinates of ``log_prob``, shape ``(n, d)``, float64.
        drawn: The same in free coordinates; draws of one family descend from one of the model.
        names: Names of the d coordinates.
        report: Diagnostics, with means and standard deviations.
        how: How they were made, in words.
        cpu_seconds: CPU seconds that it took, all in all.
    """

    draws: Tensor
    drawn: Reference
    names: tuple[str, ...]
    report: SamplerReport
    how: str
    cpu_seconds: float

    @property
    def k_hat(self) -> float:
        """Pareto shape of the model's weights; 0 where the model is the posterior."""
        return self.report.k_hat

    @property
    def reliable(self) -> bool:
        """Whether no measurement speaks against the draws."""
        return self.report.reliable

    @property
    def log_z(self) -> float:
        """Estimate of the logarithm of the integral of exp(log_prob), in nats."""
        return self.report.log_z

    @property
    def log_z_error(self) -> float:
        """Standard error of ``log_z``, in nats."""
        return self.report.log_z_error

    @property
    def means(self) -> Tensor:
        """Means of the posterior, shape ``(d,)``."""
        return torch.tensor(self.report.means, dtype=torch.float64)

    @property
    def sds(self) -> Tensor:
        """Standard deviations of the posterior, shape ``(d,)``."""
        return torch.tensor(self.report.sds, dtype=torch.float64)

    @property
    def variables(self) -> dict[str, Tensor]:
        """The draws by variable, shape ``(n, ...)`` each: ``theta[0]``, ``theta[1]`` are one."""
        made = variables(self.draws.numpy(), self.names)
        return {name: torch.from_numpy(values[0]) for name, values in made.items()}

    def quantiles(
        self,
        levels: Sequence[float] = (0.05, 0.5, 0.95),
        of: Callable[[dict[str, Tensor]], Tensor] | None = None,
    ) -> Tensor:
        """Return quantiles, shape ``(len(levels), d)``.

        Args:
            levels: Levels between 0 and 1.
            of: A derived quantity, from :attr:`variables` to ``(n,)`` or ``(n, k)``, in place of
                the coordinates.

        Example:
            >>> import torch, wopt
            >>> found = wopt.sample(
            ...     lambda x: -x.square().sum(1) / 2, 2, names=["a", "b"], budget=2.0)
            >>> middle = found.quantiles([0.5], of=lambda v: v["a"].square() + v["b"].square())
            >>> abs(float(middle) - 1.386) < 0.15
            True
        """
        return self._values(of).quantile(torch.tensor(levels).double(), 0)

    def mean_of(self, of: Callable[[dict[str, Tensor]], Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mean of a derived quantity and its standard error, shape ``(k,)`` each.

        Args:
            of: From :attr:`variables` to values, shape ``(n,)`` or ``(n, k)``.
        """
        return self.drawn.mean(self._values(of))

    def _values(self, of: Callable[[dict[str, Tensor]], Tensor] | None) -> Tensor:
        values = self.draws if of is None else of(self.variables)
        if len(values) != len(self.draws):
            raise ConfigError(
                f"a derived quantity has a value for each of {len(self.draws)} draws, got shape "
                f"{tuple(values.shape)}"
            )
        return values.reshape(len(values), -1).double()

    def to_arviz(self) -> Any:
        """Return the draws for ArviZ: ``InferenceData`` (0.x) or a tree (1.x).

        Attributes hold k-hat and log Z. Names such as ``theta[0]`` become one variable.

        Raises:
            UserError: ArviZ is not installed.
        """
        about = {
            "inference_library": "wopt",
            "k_hat": self.k_hat,
            "log_z": self.log_z,
            "log_z_error": self.log_z_error,
            "reliable": int(self.reliable),
        }
        return to_arviz(self.draws.numpy(), self.names, about)

    def text(self) -> str:
        """Return the report as a table: one line per coordinate, then the diagnostics."""
        width = max(len(name) for name in self.names)
        rows = [("", "mean", "+-", "sd", "5 %", "50 %", "95 %"), *self._rows()]
        lines = [
            f"{name:<{width}}" + "".join(f"  {cell:>10}" for cell in cells) for name, *cells in rows
        ]
        end = [self.report.text(), f"by {self.how}; {self.cpu_seconds:.1f} CPU s"]
        return "\n".join([*lines, *self._tails(), *end])

    def _rows(self) -> list[tuple[str, ...]]:
        """Return name, mean, its error, deviation and quantiles of each coordinate, in words."""
        r, levels = self.report, self.quantiles()
        return [
            (
                name,
                *((f"{m:.4g}", f"{e:.2g}") if k < 1 else ("none", "")),
                f"{s:.4g}" if k < _INFINITE else "infinite",
                *(f"{q:.4g}" for q in levels[:, j].tolist()),
            )
            for j, (name, m, e, s, k) in enumerate(
                zip(self.names, r.means, r.means_error, r.sds, self._shapes, strict=True)
            )
        ]

    @functools.cached_property
    def _shapes(self) -> list[float]:
        """The Pareto shape of the tails of each coordinate."""
        return [tail_shape(x) for x in self.draws.T]

    def _tails(self) -> list[str]:
        """Return what is said of moments that do not exist."""
        heavy = [n for n, k in zip(self.names, self._shapes, strict=True) if k >= _INFINITE]
        if not heavy:
            return []
        return [f"{', '.join(heavy)}: by their tails not all moments are finite; quantiles are"]

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        end = f"{self.report.text()}. By {self.how}; {self.cpu_seconds:.1f} CPU s"
        return (
            paragraph(repr(self), bold=True)
            + table(["", "mean", "+-", "sd", "5 %", "50 %", "95 %"], self._rows()[:50])
            + "".join(paragraph(text) for text in [*self._tails(), end])
        )

    def __repr__(self) -> str:
        word = "reliable" if self.reliable else "not reliable"
        return (
            f"{type(self).__name__}({len(self.draws)} draws of {len(self.names)} coordinates, "
            f"{word}, k-hat {self.k_hat:.2g}, log Z {self.log_z:.4g} +- {self.log_z_error:.2g})"
        )
