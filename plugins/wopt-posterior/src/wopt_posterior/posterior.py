"""A sampled posterior: its draws and the model that draws more."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.component import build
from wopt.flow import Flow
from wopt.interfaces import Budget
from wopt.psis import smoothed_importance_weights
from wopt.runs import ListenerLike, Solution
from wopt.seeds import derive, generator
from wopt_measures import Density, log_weights
from wopt_posterior.diagnostics.measure import measure_sampler, weighted
from wopt_posterior.draws import MeasuredDraws
from wopt_posterior.reference import Reference


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Posterior(MeasuredDraws):
    """Draws of a posterior with diagnostics, returned by :func:`wopt.sample`.

    The model's draws are drawn again by their importance weights, and then move by Hamiltonian
    trajectories that leave the posterior as it is. So they have equal weights.

    Attributes:
        flow: The model in free coordinates, from N(0, I).
        density: log p in free coordinates, and the bijection from them (``density.support``).
        reference: The reference sample of the density, in free coordinates.
        solution: The training with its last state, from which it can go on.
    """

    flow: Flow
    density: Density
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
        made = (x, drawn, density.names, report, how, watch.cpu)
        return cls(*made, flow, density, reference)

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
