"""Mixtures of Gaussians, Student's law, and laws of the distance from a centre."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt_certify.challenge.kernels import Axis, MarginalDensity

__all__ = ["Elliptical", "Gaussians", "Student"]

_SIZES = (1, 4, 12, 32)
_ROWS = 8000
_ROUNDS_OF_EM = 40
_GROWTH = 2e-4
_AGAIN = 4


@dataclasses.dataclass(frozen=True)
class Gaussians:
    """p = sum_k w_k N(m_k, S_k), with full covariances shrunk towards that of all rows.

    Attributes:
        log_weights: log w_k, shape ``(k,)``.
        means: m_k, shape ``(k, d)``.
        factors: Lower Cholesky factors of the precisions, shape ``(k, d, d)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(2000, 2, generator=rng, dtype=torch.float64)
        >>> x[::2] += 6
        >>> p = Gaussians.best(x[:1500], x[1500:], seed=0)
        >>> abs(float(p(x).mean()) + 2.838 + 0.693) < 0.1  # the entropy of two apart
        True
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, seed: int) -> Gaussians:
        """Fit rows ``(n, d)`` with more and more components until the held-out likelihood falls."""
        fit, hold = fit[:_ROWS].double(), hold.double()
        rng = torch.Generator().manual_seed(seed)
        kept, best = None, -math.inf
        for size in _SIZES:
            if kept is not None and size * (fit.shape[1] + 1) * 3 > len(fit):
                break
            mixture, value = cls._em(fit, hold, size, rng)
            if value <= best:
                break
            kept, best = mixture, value
        assert kept is not None
        return kept

    def refit(self, x: Tensor) -> Gaussians:
        """Return the mixture after a few more rounds of EM on rows ``(n, d)``."""
        x, now = x.double(), self
        whole = _whole(x)
        for _ in range(_AGAIN if len(self.means) > 1 else 1):
            shares = torch.cat([now.joint(part).softmax(1) for part in x.split(8192)])
            now = self._of(x, shares, whole)
        return now

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        return torch.cat([self.joint(part).logsumexp(1) for part in points.double().split(8192)])

    def joint(self, x: Tensor) -> Tensor:
        """Return log w_k N(x; m_k, S_k) in nats, shape ``(n, k)``, at points ``(n, d)``."""
        d = x.shape[1]
        # P = U U^T: |U^T (x - m)|^2 by one product for each component.
        size = torch.stack(
            [((x - m) @ u).square().sum(1) for m, u in zip(self.means, self.factors, strict=True)],
            dim=1,
        )
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        return self.log_weights + log_det - d / 2 * math.log(2 * math.pi) - size / 2

    @classmethod
    def _em(
        cls, fit: Tensor, hold: Tensor, size: int, rng: torch.Generator
    ) -> tuple[Gaussians, float]:
        whole = _whole(fit)
        shares = _first_shares(fit, size, rng)
        now, best = cls._of(fit, shares, whole), -math.inf
        kept, last = now, -math.inf
        for _ in range(_ROUNDS_OF_EM if size > 1 else 1):
            value = float(now(hold).mean())
            if value > best:
                kept, best = now, value
            elif value < best - 0.01:
                break
            joint = now.joint(fit)
            reached = float(joint.logsumexp(1).mean())
            if reached < last + _GROWTH * fit.shape[1]:
                break
            last = reached
            now = cls._of(fit, joint.softmax(1), whole)
        return kept, best

    @classmethod
    def _of(cls, x: Tensor, shares: Tensor, whole: Tensor) -> Gaussians:
        counts = shares.sum(0) + 1e-9
        means = shares.T @ x / counts[:, None]
        d = x.shape[1]
        factors = []
        for k in range(len(counts)):
            centred = x - means[k]
            scatter = (shares[:, k, None] * centred).T @ centred
            # A twentieth of the covariance of all rows, with weight d + 1, keeps it regular.
            covariance = (scatter + 0.05 * (d + 1) * whole) / (counts[k] + 0.05 * (d + 1))
            factors.append(torch.linalg.cholesky(torch.linalg.inv(covariance)))
        return cls((counts / counts.sum()).log(), means, torch.stack(factors))


def _whole(x: Tensor) -> Tensor:
    """Return the covariance of all rows with a small ridge."""
    whole = torch.cov(x.T, correction=0).reshape(2 * x.shape[1:])
    return whole + 1e-6 * float(whole.diagonal().mean()) * torch.eye(len(whole)).double()


def _first_shares(x: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Return memberships by the nearest of centres that are far apart (k-means++)."""
    rows = x[torch.randperm(len(x), generator=rng)[:2000]]
    centres = rows[:1]
    for _ in range(size - 1):
        gap = torch.cdist(rows, centres).square().amin(1)
        centres = torch.cat([centres, rows[torch.multinomial(gap, 1, generator=rng)]])
    for _ in range(5):
        near = torch.cdist(x, centres).argmin(1)
        counts = torch.bincount(near, minlength=size).clamp(min=1)
        centres = torch.zeros_like(centres).index_add_(0, near, x) / counts[:, None]
    return torch.nn.functional.one_hot(torch.cdist(x, centres).argmin(1), size).double()


_FREEDOMS = (math.inf, 30.0, 10.0, 5.0, 3.0)
_ROUNDS_OF_STUDENT = 8


@dataclasses.dataclass(frozen=True)
class Student:
    """p(x) = c |W| (1 + |W^T (x - m)|^2 / v)^(-(v + d)/2),  by EM; v is chosen by other rows.

    It has few parameters, so it can detect errors about as small as those of its own fit.

    Source: Liu, Rubin, *ML estimation of the t distribution using EM and its extensions*, 1995.

    Attributes:
        freedom: v; infinity for a Gaussian.
        mean: m, shape ``(d,)``.
        factor: W, the lower Cholesky factor of the inverse scatter, shape ``(d, d)``.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 2, generator=rng, dtype=torch.float64)
        >>> p = Student.best(x[:3000], x[3000:])
        >>> abs(float(p(x[3000:]).mean()) + 2.838) < 0.05  # the entropy of N(0, I)
        True
    """

    freedom: float
    mean: Tensor
    factor: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> Student:
        """Fit rows ``(n, d)`` with several degrees of freedom; held-out rows choose among them."""
        fit, hold = fit.double(), hold.double()
        trials = [cls.of(fit, freedom) for freedom in _FREEDOMS]
        return max(trials, key=lambda trial: float(trial(hold).mean()))

    @classmethod
    def of(cls, x: Tensor, freedom: float) -> Student:
        """Fit to rows ``(n, d)`` with known degrees of freedom."""
        x = x.double()
        mean, scatter = x.mean(0), _regular(torch.cov(x.T, correction=0).reshape(2 * x.shape[1:]))
        now = cls(freedom, mean, torch.linalg.cholesky(torch.linalg.inv(scatter)))
        for _ in range(0 if math.isinf(freedom) else _ROUNDS_OF_STUDENT):
            weights = (freedom + x.shape[1]) / (freedom + now.inside(x).square().sum(1))
            mean = weights @ x / weights.sum()
            centred = x - mean
            scatter = _regular((weights[:, None] * centred).T @ centred / len(x))
            now = cls(freedom, mean, torch.linalg.cholesky(torch.linalg.inv(scatter)))
        return now

    def refit(self, x: Tensor) -> Student:
        """Return the law with the same degrees of freedom, fitted to rows ``(n, d)``."""
        return type(self).of(x, self.freedom)

    def inside(self, x: Tensor) -> Tensor:
        """Return the standardised points W^T (x - m), shape ``(n, d)``."""
        return (x.double() - self.mean) @ self.factor

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        squares, d = self.inside(points).square().sum(1), len(self.mean)
        log_det = self.factor.diagonal().log().sum()
        if math.isinf(self.freedom):
            return log_det - d / 2 * math.log(2 * math.pi) - squares / 2
        v = self.freedom
        constant = math.lgamma((v + d) / 2) - math.lgamma(v / 2) - d / 2 * math.log(v * math.pi)
        return constant + log_det - (v + d) / 2 * torch.log1p(squares / v)


def _regular(scatter: Tensor) -> Tensor:
    return scatter + 1e-9 * float(scatter.diagonal().mean()) * torch.eye(len(scatter)).to(scatter)


_WIDTHS = (0.12, 0.25, 0.5, 1.0)
"""Bandwidths in multiples of n^(-1/5)."""
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Elliptical:
    """p(x) = |W| g(log |w|) / (A_d |w|^d),  w = W^T (x - m),  A_d the area of the unit sphere.

    g is a kernel density of log |w| on a grid, so p is normalised exactly. From the noise's side
    it is the model times a learned function of the distance alone, a function of one number in any
    dimension.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components using radial
    Gaussianization*, 2009.

    Attributes:
        frame: A fitted law with m and W; ``None`` for the origin and I.
        line: log g.
        width: The bandwidth of g in multiples of n^(-1/5).

    Example:
        >>> import torch
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(4000, 10, generator=rng, dtype=torch.float64)
        >>> x = x / x.norm(dim=1, keepdim=True) * (1 + 0.1 * torch.randn(4000, 1, generator=rng))
        >>> p = Elliptical.best(x[:3000], x[3000:], Student.of(x[:3000], math.inf))
        >>> 0.3 < float((p(x[3000:]) - Student.of(x, math.inf)(x[3000:])).mean()) < 0.5
        True
    """

    frame: Student | None
    line: MarginalDensity
    width: float

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, frame: Student | None = None) -> Elliptical:
        """Fit to rows ``(n, d)``; rows ``hold`` of shape ``(m, d)`` choose the bandwidth."""
        trials = []
        for width in _WIDTHS:
            trial = cls._of(fit, frame, width)
            line = trial.line.mixed(trial._log_size(hold)[:, None])
            trials.append(dataclasses.replace(trial, line=line))
        return max(trials, key=lambda trial: float(trial(hold).mean()))

    @classmethod
    def _of(cls, x: Tensor, frame: Student | None, width: float) -> Elliptical:
        inside = x.double() if frame is None else frame.inside(x)
        size = _log_size(inside)[:, None]
        line = MarginalDensity.of(size, [Axis.of(size[:, 0])], 0, width * len(x) ** (-1 / 5))
        return cls(frame, line, width)

    def refit(self, x: Tensor) -> Elliptical:
        """Return the law fitted to rows ``(n, d)``, with the same relative bandwidth."""
        frame = None if self.frame is None else self.frame.refit(x)
        anew = self._of(x, frame, self.width)
        return dataclasses.replace(anew, line=dataclasses.replace(anew.line, like=self.line.like))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        size, d = self._log_size(points), points.shape[1]
        area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        log_det = 0.0 if self.frame is None else float(self.frame.factor.diagonal().log().sum())
        return log_det + self.line(size[:, None]) - area - d * size

    def _log_size(self, x: Tensor) -> Tensor:
        return _log_size(x.double() if self.frame is None else self.frame.inside(x))


def _log_size(w: Tensor) -> Tensor:
    return w.norm(dim=1).clamp(min=_ROUNDING).log()
