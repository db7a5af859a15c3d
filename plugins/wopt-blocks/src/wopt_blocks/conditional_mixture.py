"""A mixture of Gaussians, coordinate by coordinate: laws on the line given earlier coordinates."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt import DivergenceError

_MOST = 400
"""Largest number of iterations of a search."""
_FAR = 37.0
"""Largest |normal score| whose tail float64 can hold."""


@dataclasses.dataclass(frozen=True)
class UnivariateMixture:
    """A mixture of normal laws on the line, one for each of n points.

    Attributes:
        log_weights: Logarithms of the weights, shape ``(n, k)``, log-sum-exp 0.
        means: Means of the components, shape ``(n, k)``.
        sds: Standard deviations of the components, shape ``(k,)``.
    """

    log_weights: Tensor
    means: Tensor
    sds: Tensor

    def rows(self, rows: Tensor) -> UnivariateMixture:
        """Return the laws of some of the points, by a mask of shape ``(n,)``."""
        return UnivariateMixture(self.log_weights[rows], self.means[rows], self.sds)

    def tails(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return F(x) and 1 - F(x), each without cancellation, shapes ``(n,)``."""
        u = (x[:, None] - self.means) / self.sds
        w = self.log_weights.exp()
        return (w * _ndtr(u)).sum(1), (w * _ndtr(-u)).sum(1)

    def density(self, x: Tensor) -> Tensor:
        """Return F'(x), shape ``(n,)``."""
        u = (x[:, None] - self.means) / self.sds
        logs = self.log_weights - u.square() / 2 - self.sds.log() - math.log(2 * math.pi) / 2
        return logs.logsumexp(1).exp()


@dataclasses.dataclass(frozen=True)
class MixtureState:
    """What the coordinates so far say of each point and component.

    Attributes:
        joint: log w_k + log density of the coordinates so far, shape ``(n, k)``.
        noise: Components of L_k^-1 (x - mu_k) so far, in order, each of shape ``(n, k)``.
    """

    joint: Tensor
    noise: tuple[Tensor, ...]


@dataclasses.dataclass(frozen=True)
class GaussianMixture:
    """sum_k w_k N(mu_k, L_k L_k^T).

    Attributes:
        log_weights: Logarithms of w, shape ``(k,)``.
        means: Means mu, shape ``(k, d)``.
        factors: Factors L, lower triangular with a positive diagonal, shape ``(k, d, d)``.
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor

    def beginning(self, n: int) -> MixtureState:
        """Return the state of n points before their first coordinate."""
        return MixtureState(self.log_weights.expand(n, -1), ())

    def given(self, state: MixtureState, i: int) -> UnivariateMixture:
        """Return the law of coordinate i given those before."""
        means = self.means[:, i].expand_as(state.joint)
        for j, noise in enumerate(state.noise):
            means = torch.addcmul(means, noise, self.factors[:, i, j])
        return UnivariateMixture(state.joint.log_softmax(1), means, self.factors[:, i, i])

    def after(self, state: MixtureState, line: UnivariateMixture, x: Tensor) -> MixtureState:
        """Return the state after the next coordinate, x of shape ``(n,)``."""
        u = (x[:, None] - line.means) / line.sds
        gain = -u.square() / 2 - line.sds.log() - math.log(2 * math.pi) / 2
        return MixtureState(state.joint + gain, (*state.noise, u))

    def log_prob(self, state: MixtureState) -> Tensor:
        """Return the log-density of the coordinates so far, shape ``(n,)``, in nats."""
        return state.joint.logsumexp(1)


def _ndtr(u: Tensor) -> Tensor:
    """Return Phi(u), also where it is tiny: torch.special.ndtr is 0 below -8."""
    return torch.erfc(-u * math.sqrt(0.5)) / 2


def normal_score(line: UnivariateMixture, x: Tensor) -> Tensor:
    """Return Phi^-1(F(x)), from the smaller tail, shape ``(n,)``.

    Example:
        >>> zero = torch.zeros(1, 2).double()
        >>> line = UnivariateMixture(zero - math.log(2), zero, torch.ones(2).double())
        >>> round(float(normal_score(line, torch.tensor([8.5]).double())), 9)
        8.5
    """
    below, above = line.tails(x)
    lower = below < above
    tail = torch.where(lower, below, above).clamp_min(torch.finfo(x.dtype).tiny)
    score = torch.special.ndtri(tail)
    return torch.where(lower, score, -score)


def quantile(line: UnivariateMixture, z: Tensor) -> Tensor:
    """Return F^-1(Phi(z)), with the derivatives by z and by the law, shape ``(n,)``.

    The result lies between the least and the largest mu_k + s_k z. Newton's steps for
    Phi^-1(F(x)) = z are taken where they stay there and are at most half as long as the step
    before; else the bracket is halved. The derivatives follow from the implicit function theorem.

    Source: Press et al., *Numerical recipes*, 2007, section 9.4.
    """
    with torch.no_grad():
        x = _searched(line, z.detach().clamp(-_FAR, _FAR))
    if not torch.is_grad_enabled():
        return x
    (below, above), slope = line.tails(x), line.density(x).detach()
    rest = torch.where(z < 0, below - _ndtr(z), _ndtr(-z) - above)
    # Where the density is zero, a derivative would be infinite.
    return x - rest / slope.clamp_min(torch.finfo(x.dtype).tiny ** 0.25)


def _searched(line: UnivariateMixture, z: Tensor) -> Tensor:
    ends = line.means + line.sds * z[:, None]
    low, high = ends.amin(1), ends.amax(1)
    x = (line.log_weights.exp() * ends).sum(1)
    close, last = 4 * torch.finfo(z.dtype).eps, high - low
    found, left = x.clone(), torch.arange(len(z), device=z.device)
    for _ in range(_MOST):
        score = normal_score(line, x)
        over = score > z
        low, high = torch.where(over, low, x), torch.where(over, x, high)
        slope = line.density(x) * math.sqrt(2 * math.pi) * (score.square() / 2).exp()
        to = x - (score - z) / slope
        good = (to >= low) & (to <= high) & ((to - x).abs() <= last / 2)  # not for NaN
        to = torch.where(good, to, (low + high) / 2)
        last, near = (to - x).abs(), close * (1 + x.abs())
        going = ~((last <= near) | (high - low <= near))  # also for NaN
        found[left] = to
        # Few points need many steps.
        line, left = line.rows(going), left[going]
        x, z, low, high, last = (v[going] for v in (to, z, low, high, last))
        if not len(left):
            return found
    raise DivergenceError(
        "the search for quantiles of a mixture did not end: points are not finite"
    )
