"""Sampling a posterior that is given by a function: its draws, their weights, what is known."""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wopt import runs
from wopt.component import build
from wopt.errors import ConfigError
from wopt.flow import Flow, log_weights
from wopt.html import paragraph, table
from wopt.interfaces import support_of
from wopt.psis import smoothed_importance_weights
from wopt.runs import ListenerLike, Solution, advance, listener_of
from wopt.seeds import derive, generator
from wopt.targets import Density
from wopt_posterior.diagnostics.measure import measure_sampler, report_within
from wopt_posterior.diagnostics.report import SamplerReport
from wopt_posterior.targets.given import GivenModel

__all__ = ["Posterior", "sample", "to_arviz", "variables"]

_ELEMENT = re.compile(r"(.+)\[(\d+(?:,\s*\d+)*)\]")


def variables(draws: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return arrays ``(1, n, ...)`` by variable; ``theta[0]``, ``theta[1]`` become one.

    Elements that do not fill an array (such as ``theta[1]`` alone; counts may begin at 0 or 1)
    remain variables of their own.

    Example:
        >>> {k: v.shape for k, v in variables(np.zeros((5, 3)), ["a[0]", "a[1]", "b"]).items()}
        {'a': (1, 5, 2), 'b': (1, 5)}
    """
    groups: dict[str, list[tuple[tuple[int, ...], int]]] = {}
    for j, name in enumerate(names):
        element = _ELEMENT.fullmatch(name)
        base = element[1] if element else name
        index = tuple(int(k) for k in element[2].split(",")) if element else ()
        groups.setdefault(base, []).append((index, j))
    arrays: dict[str, Any] = {}
    for base, members in groups.items():
        shape = _shape([index for index, _ in members])
        if shape is None:
            arrays |= {names[j]: draws[None, :, j] for _, j in members}
            continue
        columns = [j for _, j in sorted(members)]
        arrays[base] = draws[None, :, columns].reshape(1, len(draws), *shape)
    return arrays


def _shape(indices: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of the array that these indices fill, counting from 0 or 1."""
    if len({len(index) for index in indices}) != 1 or len(set(indices)) != len(indices):
        return None
    lows = [min(axis) for axis in zip(*indices, strict=True)]
    highs = [max(axis) for axis in zip(*indices, strict=True)]
    shape = tuple(high - low + 1 for low, high in zip(lows, highs, strict=True))
    return shape if max(lows, default=0) <= 1 and np.prod(shape) == len(indices) else None


def to_arviz(draws: Any, names: Sequence[str], about: dict[str, Any]) -> Any:
    """Return draws ``(n, d)`` as an ArviZ object, with ``about`` in the group's attributes."""
    try:
        import arviz
    except ImportError:
        raise ConfigError("ArviZ is not installed: pip install arviz") from None
    arrays = variables(draws, names)
    if int(arviz.__version__.split(".")[0]) < 1:
        return arviz.from_dict(posterior=arrays, posterior_attrs=about)
    tree = arviz.from_dict({"posterior": arrays})
    tree["posterior"].attrs.update(about)
    return tree


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Posterior:
    """Draws of a posterior with weights and diagnostics, returned by :func:`wopt.sample`.

    Attributes:
        draws: Draws of the model, in the coordinates of ``log_prob``, shape ``(n, d)``, float64.
        log_weights: Pareto-smoothed log-weights, shape ``(n,)``; their exponentials sum to one.
        names: Names of the d coordinates.
        report: Diagnostics of the weights, with means and standard deviations.
        flow: The model in free coordinates, from N(0, I).
        density: log p in free coordinates, and the bijection from them (``density.support``).
        how: How the model was made, in words.
        cpu_seconds: CPU seconds that it took.
    """

    draws: Tensor
    log_weights: Tensor
    names: tuple[str, ...]
    report: SamplerReport
    flow: Flow
    density: Density
    how: str
    cpu_seconds: float

    @classmethod
    def of(
        cls,
        density: Density,
        flow: Flow,
        n: int,
        seed: int,
        how: str,
        seconds: float,
        chains: Tensor | None = None,
    ) -> Posterior:
        """Draw from a fitted flow and measure it, also by chains of shape ``(m, d)``.

        Raises:
            DataError: No draw has a finite weight.
        """
        rng = generator(seed, "posterior")
        y, log_q = flow.sample_and_log_prob(n, generator=rng, audit=True)
        target = build("target", {"name": "potential", "function": lambda z: -density(z)})
        of_chains = None
        if chains is not None:
            with torch.no_grad():
                of_chains = density(chains) - flow.log_prob(chains)
        key = derive(seed, "measure")
        more = functools.partial(flow.sample_and_log_prob, generator=generator(key, "more"))
        report = measure_sampler(
            target, y, log_q, chains=of_chains, model=flow.log_prob, more=more, seed=key
        )
        with torch.no_grad():
            x = density.support(y)[0]
            weights = log_weights(target, y, log_q)
            report = report_within(density.support, report, y, weights)
            smoothed = smoothed_importance_weights(weights)
        return cls(x, smoothed.log_weights, density.names, report, flow, density, how, seconds)

    @property
    def k_hat(self) -> float:
        """Pareto shape of the weights; above ``report.k_hat_threshold`` they are unreliable."""
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
        """Means of the posterior by the weights, shape ``(d,)``."""
        return torch.tensor(self.report.means, dtype=torch.float64)

    @property
    def sds(self) -> Tensor:
        """Standard deviations of the posterior by the weights, shape ``(d,)``."""
        return torch.tensor(self.report.sds, dtype=torch.float64)

    def resample(self, n: int | None = None, seed: int = 0) -> Tensor:
        """Return equally weighted draws, ``(n, d)``, by systematic resampling, with repetitions.

        Args:
            n: Number of draws; by default that of ``draws``.
            seed: Seed of the choice and of the order.
        """
        size = len(self.draws) if n is None else n
        rng = generator(seed, "resample")
        edges = self.log_weights.exp().cumsum(0)
        levels = (torch.arange(size) + torch.rand((), generator=rng)) / size
        rows = torch.searchsorted(edges / edges[-1], levels.to(edges)).clamp_max(len(edges) - 1)
        return self.draws[rows[torch.randperm(size, generator=rng)]]

    def to_arviz(self, *, seed: int = 0) -> Any:
        """Return equally weighted draws for ArviZ: ``InferenceData`` (0.x) or a tree (1.x).

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
        return to_arviz(self.resample(seed=seed).numpy(), self.names, about)

    def text(self) -> str:
        """Return the report as a table: one line per coordinate, then the diagnostics."""
        width = max(len(name) for name in self.names)
        head = f"{'':<{width}}  {'mean':>10}  {'+-':>8}  {'sd':>10}"
        r = self.report
        rows = [
            f"{name:<{width}}  {m:>10.4g}  {e:>8.2g}  {s:>10.4g}"
            for name, m, e, s in zip(self.names, r.means, r.means_error, r.sds, strict=True)
        ]
        return "\n".join([head, *rows, r.text(), f"by {self.how}; {self.cpu_seconds:.1f} CPU s"])

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        r = self.report
        rows = [
            (name, f"{m:.4g}", f"{e:.2g}", f"{s:.4g}")
            for name, m, e, s in zip(self.names, r.means, r.means_error, r.sds, strict=True)
        ]
        return (
            paragraph(repr(self), bold=True)
            + table(["", "mean", "+-", "sd"], rows[:50])
            + paragraph(f"{r.text()}. By {self.how}; {self.cpu_seconds:.1f} CPU s")
        )

    def __repr__(self) -> str:
        word = "reliable" if self.reliable else "not reliable"
        return (
            f"Posterior({len(self.draws)} draws of {len(self.names)} coordinates, {word}, k-hat "
            f"{self.k_hat:.2g}, log Z {self.log_z:.4g} +- {self.log_z_error:.2g})"
        )


def sample(
    log_prob: Callable[[Tensor], Tensor] | GivenModel,
    dim: int | None = None,
    *,
    n: int = 4000,
    support: Mapping[str | int, Any] | None = None,
    names: Sequence[str] | None = None,
    budget: float = 60.0,
    iterations: int | None = None,
    seed: int = 0,
    tracker: Any = None,
    listener: ListenerLike = None,
) -> Posterior:
    """Sample the law with density proportional to exp(log_prob), with diagnostics.

    It is the run that ``wopt run`` plans for a file with such a target: in free coordinates, in
    float64, a Gaussian by L-BFGS (:func:`wopt_posterior.solvers.gaussian.become_gaussian`); if its
    importance weights are not nearly even, then an ``autoregressive`` map in the coordinates in
    which that Gaussian is white, by Muon on fresh draws of N(0, I), in rounds of doubling length
    until the weights are even or the budget is spent. The rules are in
    :mod:`wopt_posterior.plan.rules`. The weights measure the remaining difference of q and p.

    Args:
        log_prob: Function of points ``(n, d)`` to log p + const, ``(n,)``, nats, in torch,
            differentiable. It is given float64. Or a model of :mod:`wopt.targets`, which brings
            dimension, names and support.
        dim: Dimension d.
        n: Number of draws.
        support: Constraints: from a coordinate, by index or name, to ``"positive"``,
            ``[low, high]`` (``None`` for no end) or a constraint of torch.distributions. The
            log-dets of the bijections are accounted for: ``log_prob`` is the density of what it
            is given.
        names: Names of the coordinates; ``"theta[0]"``, ``"theta[1]"`` are one variable in ArviZ.
        budget: Budget of training in CPU seconds; the result then depends on the machine's speed.
        iterations: Iterations of the map, in place of the budget: the same seed then gives the same
            result.
        seed: Seed of all draws.
        tracker: Tracker that receives records of the maps, as in :func:`wopt.solve`.
        listener: Receives messages on progress, as in :func:`wopt.solve`.

    Returns:
        The draws, their weights and diagnostics. An interrupt (Ctrl-C, or a notebook's stop) during
        training leaves the draws of the best map so far, and the result says so.

    Raises:
        ConfigError: Options cannot be used, or the plugins ``wopt-jko``, ``wopt-blocks`` and
            ``wopt-measures`` are not installed.
        DataError: ``log_prob`` fails, or is not finite and differentiable around the origin of the
            free coordinates.

    Example:
        >>> import torch, wopt
        >>> law = torch.distributions.LogNormal(0.0, 0.5)  # a normal law in free coordinates
        >>> posterior = wopt.sample(
        ...     lambda x: law.log_prob(x[:, 0]), dim=1, support={"0": "positive"})
        >>> posterior.reliable, abs(posterior.log_z) < 1e-6
        (True, True)
        >>> abs(float(posterior.means[0] - law.mean)) < 0.05
        True
    """
    began = time.process_time()
    if isinstance(log_prob, GivenModel):
        dim, names = log_prob.dim, names or log_prob.names
        support = {**log_prob.support, **(support or {})}
        log_prob = log_prob.log_prob
    if dim is None:
        raise ConfigError("sample needs dim, the number of coordinates that log_prob takes")
    known = _names(dim, names)
    density = Density(log_prob, support_of(support, known), known)
    density.check(generator(seed, "check"))
    table: dict[str, Any] = {"plan": {"budget": budget}, "seed": seed, "source": _start(dim)}
    target = {"name": "potential", "function": lambda y: -density(y), "dim": dim}
    table["objective"] = {"name": "kl", "target": target}
    if iterations is not None:
        table["solver"] = {"iterations": iterations}
    if tracker is not None:
        table["tracker"] = tracker
    progress = listener_of(listener)
    problem = runs.build(table, listener=progress)
    solution = advance(problem, problem.begin(), progress)
    flow = Flow(solution.flow.map, solution.flow.latent, known)
    seconds = time.process_time() - began
    chains = solution.state.chains
    return Posterior.of(density, flow, n, seed, _how(solution), seconds, chains)


def _start(dim: int) -> dict[str, Any]:
    return {"name": "gaussian", "dim": dim}


def _how(solution: Solution) -> str:
    """Return a description of the model's maps."""
    records = solution.history
    words = ["N(0, I) as it is", "a Gaussian"][: len(records) + 1][-1]
    if len(records) > 1:
        words = f"an autoregressive map of {records[1].iterations} iterations after a Gaussian"
    if solution.status == "stopped":  # its diagnostics show how far to trust it
        return f"{words}, interrupted"
    return words if solution.status == "done" else f"{words} ({solution.reason})"


def _names(dim: int, names: Sequence[str] | None) -> tuple[str, ...]:
    if dim < 1:
        raise ConfigError(f"dim is the number of coordinates, at least 1, got {dim}")
    if names is None:
        return tuple(f"x{j}" for j in range(dim))
    if len(names) != dim or len(set(names)) != dim:
        raise ConfigError(f"names are {dim} different ones, one a coordinate, got {list(names)}")
    return tuple(names)
