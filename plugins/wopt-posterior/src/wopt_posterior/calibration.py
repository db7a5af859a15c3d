"""Simulation-based calibration: do posteriors of simulated data hold what made the data?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wopt.errors import ConfigError
from wopt.seeds import derive, generator
from wopt_posterior.sampling import sample


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Ranks of true parameters among posterior draws, uniform on 0, ..., L if all is right.

    Attributes:
        names: Names of the d parameters, then ``log_prob``, their joint log-density with the data.
        ranks: Number of the draws that are below the truth, shape ``(runs, d + 1)``.
        draws: Number L of draws that the truth is compared with.
        reliable: For each run, whether its posterior is called reliable.
        seed: Seed that breaks ties of ranks at random in the tests.
    """

    names: tuple[str, ...]
    ranks: Tensor
    draws: int
    reliable: tuple[bool, ...]
    seed: int

    @property
    def p_values(self) -> dict[str, float]:
        """By name, the p-value of uniform ranks, exact for any number of runs.

        It is twice the smaller one of two tests of Kolmogorov and Smirnov, of u = (rank + noise) /
        (L + 1), which sees shifts, and of |2 u - 1|, which sees posteriors too narrow or too wide.
        """
        from scipy.stats import kstest

        noise = torch.rand(self.ranks.shape, generator=generator(self.seed, "ties")).double()
        levels = ((self.ranks + noise) / (self.draws + 1)).T
        found = {}
        for name, u in zip(self.names, levels, strict=True):
            both = (kstest(v.numpy(), "uniform").pvalue for v in (u, (2 * u - 1).abs()))
            found[name] = min(1.0, 2 * float(min(both)))
        return found

    @property
    def p_value(self) -> float:
        """The p-value of all ranks together, by Bonferroni."""
        return min(1.0, len(self.names) * min(self.p_values.values()))

    def text(self) -> str:
        """Return the p-values as a table, and how many posteriors are called reliable."""
        width = max(len(name) for name in self.names)
        lines = [f"{name:<{width}}  p = {p:.3g}" for name, p in self.p_values.items()]
        end = f"all together p = {self.p_value:.3g}; {sum(self.reliable)} of {len(self.ranks)} "
        return "\n".join([*lines, end + "posteriors are called reliable"])


def calibrate(
    prior: Callable[[torch.Generator], Tensor],
    simulate: Callable[[Tensor, torch.Generator], Any],
    log_prob: Callable[[Tensor, Any], Tensor],
    *,
    runs: int = 100,
    draws: int = 99,
    seed: int = 0,
    **options: Any,
) -> Calibration:
    """Run simulation-based calibration of :func:`wopt.sample` on a model.

    Each run draws parameters from the prior, simulates data, samples the posterior, and counts the
    draws below the true parameters. Of exact posteriors of the right density all ranks are uniform,
    whatever the model; a small p-value shows that draws, or the given density, are wrong. The
    joint log-density is ranked too, which sees posteriors that ignore the data.

    Source: Talts et al., Validating Bayesian inference algorithms with simulation-based
    calibration, 2018; Modrak et al., Simulation-based calibration checking for Bayesian
    computation: the choice of test quantities shapes sensitivity, 2023.

    Args:
        prior: From a generator to parameters, shape ``(d,)``.
        simulate: From parameters ``(d,)`` and a generator to data.
        log_prob: From points ``(n, d)`` and data to log prior + log likelihood, ``(n,)``, nats.
        runs: Number of posteriors.
        draws: Number of equally weighted draws of each that the truth is compared with.
        seed: Seed of all draws.
        options: Options of :func:`wopt.sample`, such as ``names``, ``support``, ``budget``.

    Raises:
        ConfigError: The prior does not give ``(d,)``.

    Example:
        >>> import torch
        >>> from wopt_posterior import calibrate
        >>> def joint(x, y):
        ...     return -(x.square() + (y - x).square())[:, 0] / 2
        >>> found = calibrate(
        ...     lambda rng: torch.randn(1, generator=rng).double(),
        ...     lambda x, rng: x + torch.randn(1, generator=rng).double(),
        ...     joint, runs=4, n=200, iterations=5)
        >>> found.ranks.shape, found.names
        (torch.Size([4, 2]), ('x0', 'log_prob'))
    """
    ranks, reliable = list[Tensor](), list[bool]()
    names: tuple[str, ...] = ()
    for run in range(runs):
        rng = generator(seed, "calibration", run)
        truth = torch.as_tensor(prior(rng), dtype=torch.float64)
        if truth.ndim != 1:
            raise ConfigError(f"prior gives parameters (d,), got shape {tuple(truth.shape)}")
        data = simulate(truth, rng)

        def density(x: Tensor, data: Any = data) -> Tensor:
            """Return log p of parameters given the data, shape ``(n,)``, nats."""
            return log_prob(x, data)

        found = sample(density, len(truth), seed=derive(seed, "posterior", run), **options)
        x, names = found.draws[:draws], found.names
        with torch.no_grad():
            below = [(x < truth).sum(0), (density(x) < density(truth[None])).sum()[None]]
        ranks.append(torch.cat(below))
        reliable.append(found.reliable)
    return Calibration((*names, "log_prob"), torch.stack(ranks), draws, tuple(reliable), seed)
