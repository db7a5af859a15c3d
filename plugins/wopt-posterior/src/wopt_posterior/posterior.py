"""A sampled posterior: its draws, their weights, and what is known of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.component import build
from wopt.errors import ConfigError
from wopt.flow import Flow
from wopt.html import paragraph, table
from wopt.interfaces import Budget
from wopt.psis import smoothed_importance_weights
from wopt.runs import ListenerLike, Solution
from wopt.seeds import derive, generator
from wopt_measures import Density, log_weights
from wopt_posterior.diagnostics.measure import measure_sampler, weighted
from wopt_posterior.diagnostics.report import SamplerReport
from wopt_posterior.reference import Reference
from wopt_posterior.summary import tail_shape, to_arviz, variables

__all__ = ["Posterior"]

_INFINITE = 0.5
"""Pareto shape of a tail from which there is no variance."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Posterior:
    """Draws of a posterior with diagnostics, returned by :func:`wopt.sample`.

    The model's draws are drawn again by their importance weights, and then move by Hamiltonian
    trajectories that leave the posterior as it is. So they have equal weights.

    Attributes:
        draws: The draws, in the coordinates of ``log_prob``, shape ``(n, d)``, float64.
        drawn: The same in free coordinates; draws of one family descend from one of the model.
        names: Names of the d coordinates.
        report: Diagnostics, with means and standard deviations.
        flow: The model in free coordinates, from N(0, I).
        density: log p in free coordinates, and the bijection from them (``density.support``).
        how: How the model was made, in words.
        cpu_seconds: CPU seconds that it took, all in all.
        reference: The reference sample of the density, in free coordinates.
        solution: The training with its last state, from which it can go on.
    """

    draws: Tensor
    drawn: Reference
    names: tuple[str, ...]
    report: SamplerReport
    flow: Flow
    density: Density
    how: str
    cpu_seconds: float
    reference: Reference
    solution: Solution | None = None

    @classmethod
    def of(
        cls,
        density: Density,
        flow: Flow,
        n: int,
        seed: int,
        how: str,
        reference: Reference,
        budget: Budget = Budget(0.0),  # noqa: B008
        trajectories: int | None = None,
    ) -> Posterior:
        """Draw from a fitted flow; move draws and a reference sample, and compare them.

        Args:
            budget: CPU seconds of trajectories; one is made, at least, and by default.
            trajectories: Their number, in place of the budget.

        Raises:
            DataError: No draw has a finite weight.
        """
        watch, rng = Stopwatch(), generator(seed, "posterior")
        y, log_q = flow.sample_and_log_prob(n, generator=rng, audit=True)
        target = build("target", {"name": "potential", "function": lambda z: -density(z)})
        smoothed = smoothed_importance_weights(log_weights(target, y, log_q))
        drawn, part = weighted(y, smoothed).drawn(n, rng), n / (n + len(reference.points))
        drawn = drawn.travelled(target, budget.share(part), trajectories, rng)
        reference = reference.travelled(target, budget.share(1 - part), trajectories, rng)
        report = measure_sampler(
            target,
            y,
            log_q,
            drawn=drawn,
            reference=reference,
            model=flow.log_prob,
            support=density.support,
            names=density.names,
            seed=derive(seed, "measure"),
        )
        with torch.no_grad():
            x = density.support(drawn.points)[0]
        return cls(x, drawn, density.names, report, flow, density, how, watch.cpu, reference)

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

    def redrawn(self, n: int, seed: int = 0) -> Posterior:
        """Return the posterior with n new draws, moved as often and measured again.

        Args:
            n: Number of draws.
            seed: Seed of the draws.
        """
        made = (self.density, self.flow, n, seed, self.how, self.reference)
        found = Posterior.of(*made, trajectories=self.drawn.trajectories)
        return dataclasses.replace(found, cpu_seconds=self.cpu_seconds, solution=self.solution)

    def continued(
        self,
        budget: float = 60.0,
        *,
        iterations: int | None = None,
        n: int | None = None,
        seed: int = 0,
        listener: ListenerLike = None,
    ) -> Posterior:
        """Return the posterior after more training, of one further map behind those there are.

        The map begins as the identity, so it is kept only where it is nearer to the posterior on
        held-out draws. Where the weights are nearly even already nothing is trained. An interrupted
        posterior goes on with the map that was interrupted.

        Args:
            budget: CPU seconds of training, in schedules of doubling length.
            iterations: Iterations of the map, in place of the budget.
            n: Number of draws; by default as many as there are.
            seed: Seed of the draws.
            listener: Receives messages on progress, as in :func:`wopt.solve`.

        Raises:
            ConfigError: The posterior was not made by :func:`wopt.sample`.

        Example:
            >>> import torch, wopt
            >>> ring = lambda x: -8 * (x.norm(dim=1) - 2).square()
            >>> first = wopt.sample(ring, 2, iterations=5)
            >>> second = first.continued(iterations=50)
            >>> second.report.ess > first.report.ess
            True
        """
        from wopt_posterior.sampling import continued

        return continued(self, budget, iterations, n or len(self.draws), seed, listener)

    def pull_back(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior in the flow's base, where it is nearly N(0, I), for other samplers.

        The density is log p(T(z)) + log |det T'(z)|, up to a constant, for the model's map T; a
        chain that leaves it invariant is mapped to one of the posterior, whatever the map.

        Args:
            z: Points of the base, shape ``(n, d)``, float64; gradients flow through both results.

        Returns:
            The points T(z) in the coordinates of ``log_prob``, shape ``(n, d)``, and the
            log-density of z, shape ``(n,)``, nats.

        Source: Parno, Marzouk, Transport map accelerated Markov chain Monte Carlo, 2018; Hoffman et
        al., NeuTra-lizing bad geometry in Hamiltonian Monte Carlo, 2019.

        Example:
            >>> import torch, wopt
            >>> found = wopt.sample(lambda x: -(x - 3).square().sum(1) / 2, 2, n=200, iterations=5)
            >>> x, log_density = found.pull_back(torch.zeros(1, 2).double())
            >>> [round(value) for value in x[0].tolist()]
            [3, 3]
        """
        y, log_det = self.flow.inverse(z)
        return self.density.support(y)[0], self.density(y) + log_det

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
            f"Posterior({len(self.draws)} draws of {len(self.names)} coordinates, {word}, k-hat "
            f"{self.k_hat:.2g}, log Z {self.log_z:.4g} +- {self.log_z_error:.2g})"
        )
