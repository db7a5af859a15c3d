"""The comparison of draws with a reference sample of their target, and log Z between them."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import torch
from torch import Tensor

from wopt_posterior.reference import Reference

_LEVEL = 1e-3
"""Probability of a false alarm."""
_JUMPS = 20
"""Proposals to each reference point to become a draw of the model."""
_SEEN = 0.1
"""Fraction of the target's mass whose loss a comparison has to see to say anything."""
_HALVINGS = 100


@dataclasses.dataclass(frozen=True)
class Proposals:
    """Independent draws of a model q of the target p Z = exp(-V).

    Attributes:
        points: The draws, shape ``(n, d)``.
        log_weights: -V - log q there, nats, shape ``(n,)``.
    """

    points: Tensor
    log_weights: Tensor


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a reference sample says of draws.

    Attributes:
        missing, error: Estimated fraction of the target's mass where there is almost no draw.
        most: Fraction that may be missing, at the level 0.001.
        where: Reference points in that part, shape ``(k, d)``.
        differences: Of the mean and of the spread of each coordinate's normal scores, in
            standard errors, shape ``(2, d)``.
    """

    missing: float
    error: float
    most: float
    where: Tensor
    differences: Tensor

    @property
    def lacks(self) -> bool:
        """Whether more is missing than chance explains."""
        return self.missing > _quantile() * self.error

    @property
    def differs(self) -> bool:
        """Whether a coordinate is distributed otherwise than chance explains."""
        return bool((self.differences.abs() > _quantile(2 * self.differences.numel())).any())

    @property
    def decides(self) -> bool:
        """Whether the loss of a tenth of the mass would have been seen."""
        return self.lacks or self.most <= _SEEN


def _quantile(tests: int = 1) -> float:
    return NormalDist().inv_cdf(1 - _LEVEL / tests)


@torch.no_grad()
def compared(
    drawn: Reference,
    at: Tensor,
    reference: Reference,
    there: Tensor,
    proposals: Proposals,
    rng: torch.Generator,
) -> Comparison:
    """Return how draws and a reference sample of their target differ.

    The best classifiers between target p and model q are known, f = w/(w + l), w = exp(-V)/q: near
    1 where q lacks draws. If a fraction e of p is missing among the draws and the rest is right,

        E_p[f] = (1 - e) c + e,    c = E[f] of the draws,    so    e = (E_p[f] - c)/(1 - c).

    The level l is that of :func:`bridge` from the draws to themselves, so that c is 1/2 for draws
    of equal weights, and l is Z for weighted draws of q.
    Before, reference points may jump to draws of the model with probability min(1, w(y)/w(x)),
    which leaves p as it is: where the model is right the reference becomes so, too, and what is
    left is where no draw leads. Each coordinate's ranks among all points, as normal scores, are
    compared, too.

    Args:
        drawn: The draws that are judged; families of one number descend from one proposal.
        at, there: log w at the draws ``(n,)`` and at the reference points ``(m,)``, nats.

    Source: Meng, Wong, *Simulating ratios of normalizing constants*, 1996; Gabrie, Rotskoff,
    Vanden-Eijnden, *Adaptive Monte Carlo augmented with normalizing flows*, PNAS 2022; Vehtari et
    al., *Rank-normalization, folding, and localization: an improved R-hat*, 2021.

    Example:
        >>> x = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> half = x.abs()  # draws of one half of p, of density 2 p
        >>> there = torch.where(x[:, 0] > 0, 0.0, torch.inf).double()
        >>> found = compared(Reference.exact(half), there.new_zeros(2000), Reference.exact(x),
        ...     there, Proposals(half, there.new_zeros(2000)),
        ...     torch.Generator().manual_seed(1))
        >>> abs(found.missing - 0.5) < 0.05, found.lacks, found.differs
        (True, True, True)
    """
    x, there = reference.points, there.nan_to_num(nan=torch.inf)
    stayed, families = torch.ones(len(x), dtype=torch.bool), reference.families
    for _ in range(_JUMPS):
        rows = torch.randint(len(proposals.points), (len(x),), generator=rng)
        to = proposals.log_weights[rows]
        taken = torch.rand(len(x), generator=rng).log() < to - there
        x = torch.where(taken[:, None], proposals.points[rows], x)
        there, stayed = torch.where(taken, to, there), stayed & ~taken
        families = torch.where(taken, -1 - rows, families)  # they descend from that proposal
    settled = dataclasses.replace(reference, points=x, families=families)
    level = bridge(at, at, drawn.weights)
    f, of_draws = torch.sigmoid(there - level), torch.sigmoid(at - level)
    (mean, error), (c, c_error) = settled.mean(f), drawn.mean(of_draws)
    # A mass of less than a draw is missing from exact draws, too.
    resolution = 1 / len(drawn.points)
    error = (error.square() + c_error.square() + resolution**2).sqrt()
    missing, error = ((v / (1 - c)) for v in (mean - c, error))
    most = max(float(missing), 0.0) + _quantile() * float(error)
    where = x[stayed & (there - level > 1)]
    return Comparison(float(missing), float(error), most, where, _apart(drawn, settled))


def _apart(drawn: Reference, reference: Reference) -> Tensor:
    """Return differences of means and spreads of normal scores, in errors, shape ``(2, d)``."""
    points = torch.cat([drawn.points, reference.points])
    ranks = points.argsort(0).argsort(0)
    scores = torch.special.ndtri((ranks.double() + 0.5) / len(points))
    values = torch.stack([scores, scores.square()], 1)
    mine, theirs = values.tensor_split([len(drawn.points)])
    (mean, error), (other, other_error) = drawn.mean(mine), reference.mean(theirs)
    return (mean - other) / torch.hypot(error, other_error).clamp_min(1e-300)


def bridge(log_w: Tensor, at: Tensor, weights: Tensor) -> float:
    """Return log Z, nats, by draws of the model and of the target.

    Z is where  E_q[w/(w + Z)] = E_p[Z/(w + Z)]. Both sides are bounded, however heavy the tail of
    w is. Where E_p is that of the weighted draws themselves, Z is their mean weight.

    Args:
        log_w: log w at independent draws of the model q, shape ``(n,)``, nats.
        at: log w at draws of the target p, shape ``(m,)``, nats.
        weights: Weights of the latter, shape ``(m,)``, which sum to one.

    Source: Meng, Wong, *Simulating ratios of normalizing constants via a simple identity*, 1996.

    Example:
        >>> w = torch.tensor([1.0, 3.0]).double()
        >>> round(bridge(w.log(), w.log(), w / 4), 6)
        0.693147
    """
    both = torch.cat([log_w, at])
    both = both[both.isfinite()]
    low, high = float(both.min()) - 1, float(both.max()) + 1
    for _ in range(_HALVINGS):
        log_z = (low + high) / 2
        surplus = torch.sigmoid(log_w - log_z).mean() - weights @ torch.sigmoid(log_z - at)
        low, high = (log_z, high) if float(surplus) > 0 else (low, log_z)
    return log_z


def bridge_error(log_w: Tensor, at: Tensor, drawn: Reference, log_z: float) -> float:
    """Return the standard error of log Z by :func:`bridge`, nats.

    The arguments log w of proposals and of draws have shapes ``(m,)`` and ``(n,)``, in nats.
    It is that of the delta method; a family k of the target's draws descends from the k-th draw of
    the model. For weighted draws it is the relative error of the mean weight.

    Example:
        >>> w = torch.tensor([1.0, 3.0]).double()
        >>> drawn = Reference(w[:, None], w / 4, torch.arange(2))
        >>> round(bridge_error(w.log(), w.log(), drawn, float(w.mean().log())), 4)
        0.3536
    """
    of_model, of_target = torch.sigmoid(log_w - log_z), torch.sigmoid(log_z - at)
    part = (of_model - of_model.mean()) / len(log_w)
    change = drawn.weights * (of_target - drawn.weights @ of_target)
    part = part.index_add(0, drawn.families, -change)
    slope = (of_model * (1 - of_model)).mean() + drawn.weights @ (of_target * (1 - of_target))
    return float(part.square().sum().sqrt() / slope)
