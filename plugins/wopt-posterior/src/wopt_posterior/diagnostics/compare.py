"""The comparison of a model's weighted draws with a reference sample of its target."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from wopt_posterior.reference import Reference

__all__ = ["Comparison", "missing_mass"]

_LEVEL = 1e-3
"""Probability of a false alarm."""
_JUMPS = 20
"""Proposals to each reference point to become a draw of the model."""
_SEEN = 0.1
"""Fraction of the target's mass whose loss a comparison has to see to say anything."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a reference sample says of a model's weighted draws.

    Attributes:
        missing: Estimated fraction of the target's mass where the model has almost no draw.
        most: Fraction that may be missing, at the level 0.001.
        where: Reference points in that part, shape ``(k, d)``.
    """

    missing: float
    error: float
    most: float
    where: Tensor

    @property
    def contradicts(self) -> bool:
        """Whether more is missing than chance explains."""
        return self.missing > _quantile() * self.error

    @property
    def decides(self) -> bool:
        """Whether the loss of a tenth of the mass would have been seen."""
        return self.contradicts or self.most <= _SEEN


def _quantile() -> float:
    return NormalDist().inv_cdf(1 - _LEVEL)


@torch.no_grad()
def missing_mass(
    log_density: Callable[[Tensor], Tensor],
    model: Callable[[Tensor], Tensor],
    reference: Reference,
    log_weights: Tensor,
    weights: Tensor,
    rng: torch.Generator,
) -> Comparison:
    """Return how much of a target's mass a reference sample has where a model has no draw.

    The best classifier between target p and model q is known, f = w/(w + Z), w = exp(-V)/q: near 1
    where q lacks draws. If a fraction e of p is missing and the rest is weighted rightly,

        E_p[f] = (1 - e) c + e,    c = E_w[f],    so    e = (E_p[f] - c)/(1 - c),

    E_p by the reference and E_w by the weighted draws. Before, reference points may jump to draws
    of the model with probability min(1, w(y)/w(x)), which leaves p as it is: where the model is
    right the reference becomes so, too, and what is left is where no draw leads.

    Args:
        log_density: -V, ``(n, d)`` to ``(n,)``, nats.
        model: log q, ``(n, d)`` to ``(n,)``, nats.
        log_weights: -V - log q at draws of the model, nats, shape ``(n,)``.
        weights: Their smoothed weights, shape ``(n,)``, which sum to one.

    Source: Meng, Wong, *Simulating ratios of normalizing constants*, 1996; Gabrie, Rotskoff,
    Vanden-Eijnden, *Adaptive Monte Carlo augmented with normalizing flows*, PNAS 2022.

    Example:
        >>> x = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> p = lambda x: -x[:, 0].square() / 2
        >>> w = torch.full((2000,), 1 / 2000).double()
        >>> half = x.abs()  # draws of one half of p
        >>> found = missing_mass(p, lambda x: torch.where(x[:, 0] > 0, p(x), -torch.inf),
        ...     Reference.exact(x), 0 * w, w, torch.Generator().manual_seed(1))
        >>> abs(found.missing - 0.5) < 0.05, found.contradicts
        (True, True)
    """
    log_z = log_weights.logsumexp(0) - math.log(len(log_weights))
    x = reference.points
    at = (log_density(x).double() - model(x).double().cpu()).nan_to_num(nan=torch.inf)
    stayed = torch.ones(len(x), dtype=torch.bool)
    for _ in range(_JUMPS):
        to = log_weights[torch.randint(len(log_weights), (len(x),), generator=rng)]
        taken = torch.rand(len(x), generator=rng).log() < to - at
        at, stayed = torch.where(taken, to, at), stayed & ~taken
    # Who has jumped is a family of its own.
    families = torch.where(stayed, reference.families, -1 - torch.arange(len(x)))
    settled = dataclasses.replace(reference, families=families)
    f, of_draws = torch.sigmoid(at - log_z), torch.sigmoid(log_weights - log_z)
    mean, error = settled.mean(f)
    c = weights @ of_draws
    # A mass of less than a draw is missing from exact draws, too.
    resolution = 1 / len(weights)
    error = (error.square() + weights.square() @ (of_draws - c).square() + resolution**2).sqrt()
    missing, error = ((v / (1 - c)) for v in (mean - c, error))
    most = max(float(missing), 0.0) + _quantile() * float(error)
    return Comparison(float(missing), float(error), most, x[stayed & (at - log_z > 1)])
