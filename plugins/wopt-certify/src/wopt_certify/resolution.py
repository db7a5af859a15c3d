"""KL at a resolution: both laws are blurred, with bounds from either side."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import fields
from wopt.interfaces import Budget, FinishedRun, Measurement, Target
from wopt.seeds import derive, generator
from wopt.statistics import mean_and_error, normal_log_prob
from wopt.targets import gaussian_moments
from wopt.typed import Typed
from wopt_certify.challenge.judge import StackedRatio
from wopt_certify.challenge.of_run import Rivals, groups_of, judges_of
from wopt_certify.effort import doubling, largest
from wopt_certify.evidence import one_of_each
from wopt_certify.options import settings_of
from wopt_certify.results import Resolution

LogDensity = Callable[[Tensor], Tensor]

_LEVELS = (0.3, 0.1, 0.03)
"""Target widths, in nats, of the intervals at the default sigmas."""
_SIGMAS = tuple(0.05 * 2 ** (k / 2) for k in range(13))
_PILOT = 600
_ROWS = 4000


@runtime_checkable
class Blurs(Protocol):
    """A target that knows its own convolution with N(0, sigma^2 I)."""

    def blurred(self, sigma: float) -> LogDensity:
        """Return the log-density of the convolution, ``(n, d)`` to ``(n,)``."""
        ...


def blurred_density(target: Target, dim: int, sigma: float) -> LogDensity | None:
    """Return log of  q * N(0, sigma^2 I),  in nats, ``(n, d)`` to ``(n,)``, if it is known.

    The target provides it (:class:`Blurs`), or is Gaussian, as an affine score shows; otherwise the
    result is ``None``.
    """
    if isinstance(target, Blurs):
        return target.blurred(sigma)
    if Capability.NORMALISED not in target.provides or Capability.POTENTIAL not in target.provides:
        return None
    moments = gaussian_moments(target, dim)
    if moments is None:
        return None
    mean, covariance = moments
    wide = covariance + sigma**2 * torch.eye(dim, dtype=torch.float64)
    factor = torch.linalg.cholesky(wide)
    return lambda points: normal_log_prob(points, mean, factor)


def resolutions(
    y: Tensor,
    target: Target,
    sigmas: Sequence[float] | None = None,
    *,
    level: float = 0.95,
    rows: int = _ROWS,
    seed: int = 0,
) -> list[Resolution] | None:
    """Bound KL(p_s | q_s) from both sides, with no assumption on p's shape.

    p_s is p * N(0, s^2 I). With p^ = the mean of N(y_i, s^2 I) over fresh rows A, and rows B:

        E_B log p^(Y + s Z)/q_s(Y + s Z)  <=  KL(p_s | q_s)  <=  E KL(p^ | q_s).

    The first holds since p^ is normalised, and p^ is mixed with q_s so that its limit holds at
    every n. The second is an identity:  KL(p^ | q_s) = KL(p_s | q_s) + KL(p^ | p_s) + 1/n sum_i
    (l(y_i) - E l)  with l = log p_s/q_s after the blur; the middle is not negative, and the last
    is a mean of independent terms whose error is the standard error of log p^/q_s by row.

    By the data-processing inequality KL(p | q) is at least KL(p_s | q_s); the upper side does not
    see structure finer than s.

    Args:
        y: Rows of p that nothing was fitted to, shape ``(n, d)``, independent of each other.
        sigmas: The blurs; by default those at which a pilot of a few hundred rows predicts
            intervals about 0.3, 0.1 and 0.03 nats wide.
        rows: Rows in each of A and B, at most.

    Returns:
        One entry per blur, or ``None`` if q's blur is not known or the rows are too few.
    """
    y = y.detach().double().cpu()
    y = y[torch.isfinite(y).all(1)]
    if len(y) < 100 or blurred_density(target, y.shape[1], 1.0) is None:
        return None
    if sigmas is None:
        sigmas = _chosen(y[:_PILOT], target, rows, seed)
        y = y[_PILOT:] if len(y) >= 3 * _PILOT else y
    half = min(len(y) // 2, rows)
    a, b = y[:half], y[half : 2 * half]
    return [_at(a, b, target, sigma, level, seed) for sigma in sigmas]


def _at(a: Tensor, b: Tensor, target: Target, sigma: float, level: float, seed: int) -> Resolution:
    log_q = blurred_density(target, a.shape[1], sigma)
    assert log_q is not None
    rng = generator(seed, "resolution")

    def noisy(rows: Tensor) -> Tensor:
        """Return rows with noise of deviation sigma, shape ``(n, d)``."""
        return rows + sigma * torch.randn(rows.shape, generator=rng, dtype=torch.float64)

    def log_p(points: Tensor, centres: Tensor) -> Tensor:
        """Return the log-density of the kernels, shape ``(n,)``."""
        return log_mean_kernel(points, centres, sigma)

    # Lower side: most of A are centres; the rest of A chooses the weight of q_s and the bet.
    cut = max(len(a) * 4 // 5, 1)
    chosen, judged = noisy(a[cut:]), noisy(b)
    log_ratios = (log_p(chosen, a[:cut]) - log_q(chosen))[:, None]
    stack = StackedRatio.fit(log_ratios, floor=0.01)
    of_judged = (log_p(judged, a[:cut]) - log_q(judged))[:, None]
    low = stack.limit(log_ratios, of_judged, level, None)
    # Upper side: all rows are centres, with two noises per row to halve the noise's variance.
    both = torch.cat([a, b])
    points = [noisy(both) for _ in range(2)]
    each = torch.stack([log_p(z, both) - log_q(z) for z in points]).mean(0)
    mean, error = mean_and_error(each)
    high = max(mean + statistics.NormalDist().inv_cdf(level) * error, 0.0)
    return Resolution(float(sigma), low, high)


def _chosen(y: Tensor, target: Target, rows: int, seed: int) -> list[float]:
    """Return the least blurs at which a pilot predicts intervals as short as wished."""
    # The upper side's excess is about (effective kernels)/(2 n), so it falls as 1/n.
    scale = float(y.std(0).mean())
    sigmas, wished = list[float](), list(_LEVELS)
    for fraction in _SIGMAS:
        sigma = fraction * scale
        pilot = _at(y[: len(y) // 2], y[len(y) // 2 :], target, sigma, 0.5, seed)
        width = (pilot.kl_high - pilot.kl_low) * len(y) / min(2 * rows, 10 * len(y))
        if width <= wished[0]:
            sigmas.append(sigma)
            wished = [w for w in wished if w < width]
        if not wished:
            break
    return sigmas or [scale * _SIGMAS[-1]]


def log_mean_kernel(points: Tensor, centres: Tensor, width: float) -> Tensor:
    """Return log 1/n sum_i N(x; x_i, h^2 I) in nats, shape ``(m,)``, at points ``(m, d)``.

    Centres x_i have shape ``(n, d)``. Points are processed in parts of bounded memory.
    """
    n, d = centres.shape
    constant = -d * math.log(width) - d / 2 * math.log(2 * math.pi) - math.log(n)
    middle = centres.mean(0)
    centred, squares = centres - middle, (centres - middle).square().sum(1)
    found = []
    for part in torch.split(points - middle, max(1, 4_000_000 // n)):
        distances = torch.addmm(squares, part, centred.T, alpha=-2)
        distances.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
        found.append(distances.mul_(-1 / (2 * width**2)).add_(constant).logsumexp(1))
    return torch.cat(found)


_BLURRED = 750, 6000
"""Rows that are compared at resolutions, the least and the most; time grows with their square."""


@dataclasses.dataclass(frozen=True)
class ResolutionReport(Typed):
    """KL of the blurred laws from both sides, and the rows that were compared."""

    each: tuple[Resolution, ...]
    rows: int


@fields
class Resolutions(Measurement):
    """KL(data | model) at resolutions: both laws are blurred, with limits from either side.

    Example:
        >>> Resolutions().document.__name__
        'ResolutionReport'
    """

    cites: ClassVar[tuple[str, ...]] = ()
    document: ClassVar[type[ResolutionReport]] = ResolutionReport

    def applies(self, run: FinishedRun) -> str | None:
        """Return why there are no resolutions."""
        return Rivals().applies(run)

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> ResolutionReport:
        """Return both sides at a few resolutions."""
        known = None if recorded is None else recorded.effort.resolution
        prepared, level = run.prepared, settings_of(run).level
        if prepared.train.condition:
            return ResolutionReport((), known or _BLURRED[1])
        start, moved = judges_of(run, _BLURRED[1])
        y, groups = moved.points, groups_of(run, len(start))
        seed, target = derive(prepared.config.seed, "resolution"), prepared.problem.objective.target
        if groups is not None:  # the limits are for independent rows
            y = y[one_of_each(groups[1], seed).to(y.device)]

        def made(rows: int) -> ResolutionReport:
            found = resolutions(y[:rows], target, level=level, rows=rows // 3, seed=seed)
            return ResolutionReport(tuple(found or ()), rows)

        return largest(doubling(*_BLURRED) if known is None else [known], made, budget)
