"""The Gaussian nearest to a density, in float64: where a sampler begins."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Gaussian", "fit_gaussian"]

_MOST_DRAWS = 4000
_HESSIAN = 200
"""Dimensions above which no Hessian is computed."""

LogDensity = Callable[[Tensor], Tensor]


class _OutOfTime(Exception):
    """The time for the fit is spent; what was reached is used."""


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """N(shift, A A^T).

    Attributes:
        shift: Shape ``(d,)``.
        slope: A, symmetric positive definite, ``(d, d)``.
        value: E[-log p - log det A] at the draws of the fit; infinite if it could not be fitted.
        how: What it began from.
    """

    shift: Tensor
    slope: Tensor
    value: float
    how: str


def fit_gaussian(log_p: LogDensity, dim: int, seconds: float, seed: int) -> Gaussian:
    """Return the Gaussian q that minimises KL(q | p), as far as the time allows.

    With z_1, ..., z_n fixed draws of N(0, I), antithetic and whitened,

        min over b, A   -(1/n) sum_i log p(A z_i + b) - log det A

    is a smooth function, which L-BFGS minimises. It begins from the mode with the curvature there
    (Laplace's approximation) and from N(0, I), and the better of the two is returned: densities
    of hierarchical models may have no mode.

    Source: Giordano, Ingram, Broderick, *Black box variational inference with a deterministic
    objective*, JMLR 2024.

    Args:
        log_p: Free points ``(n, d)`` to ``(n,)``.
        dim: d.
        seconds: CPU seconds, at most (looked at after each evaluation).
        seed: Of the draws.

    Example:
        >>> gaussian = fit_gaussian(lambda x: -((x - 3) / 2).square().sum(1) / 2, 1, 5.0, 0)
        >>> round(float(gaussian.shift), 4), round(float(gaussian.slope), 4)
        (3.0, 2.0)
    """
    z = _draws(dim, seed)
    end = time.process_time() + seconds
    zero = torch.zeros(dim, dtype=torch.float64)
    guesses = [("N(0, I)", zero, torch.eye(dim, dtype=torch.float64))]
    peak = _laplace(log_p, dim, time.process_time() + seconds / 3)
    if peak is not None:
        guesses.insert(0, ("the mode and its curvature", *peak))
    fits = [_fit(log_p, z, guess, end) for guess in guesses]
    return min(fits, key=lambda g: g.value)


def _draws(dim: int, seed: int) -> Tensor:
    """Return draws whose mean is 0 and whose covariance is the identity, exactly."""
    half = min(max(250, 10 * dim), max(_MOST_DRAWS // 2, 2 * dim))
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(half, dim, dtype=torch.float64, generator=generator)
    factor = torch.linalg.cholesky(z.T @ z / half)
    z = torch.linalg.solve_triangular(factor, z.T, upper=False).T
    return torch.cat([z, -z])


def _laplace(log_p: LogDensity, dim: int, end: float) -> tuple[Tensor, Tensor] | None:
    """Return the mode found from 0 and H^(-1/2) there, if H is positive definite."""
    x = torch.zeros(1, dim, dtype=torch.float64, requires_grad=True)
    if dim > _HESSIAN or not _minimise([x], lambda: -log_p(x).sum(), end):
        return None
    mode = x.detach()[0]
    try:
        hessian = torch.autograd.functional.hessian(lambda y: -log_p(y[None])[0], mode)
    except RuntimeError:  # not twice differentiable
        return None
    if not bool(torch.isfinite(hessian).all()):
        return None
    values, vectors = torch.linalg.eigh(hessian)
    if not float(values[0]) > 1e-12 * float(values[-1]):
        return None
    return mode, vectors * values.rsqrt() @ vectors.T


def _fit(log_p: LogDensity, z: Tensor, guess: tuple[str, Tensor, Tensor], end: float) -> Gaussian:
    """Minimise over  b + A s  and  A exp(S), S symmetric, from S = 0 and s = 0."""
    how, b, a = guess
    dim = len(b)
    generator = torch.zeros(dim, dim, dtype=torch.float64, requires_grad=True)
    step = torch.zeros(dim, dtype=torch.float64, requires_grad=True)
    constant = torch.linalg.slogdet(a)[1]

    def slope() -> Tensor:
        return a @ torch.linalg.matrix_exp((generator + generator.T) / 2)

    def loss() -> Tensor:
        return -log_p(z @ slope().T + a @ step + b).mean() - generator.trace() - constant

    _minimise([generator, step], loss, end)
    with torch.no_grad():
        value, chosen = loss().item(), slope()
        values, vectors = torch.linalg.eigh(chosen @ chosen.T)
    usable = math.isfinite(value) and bool(values[0] > 0)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return Gaussian(b + a @ step.detach(), root, value if usable else math.inf, how)


def _minimise(parameters: list[Tensor], loss: Callable[[], Tensor], end: float) -> bool:
    """Minimise by L-BFGS; leave the best parameters seen and return whether any was finite."""
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=500,
        history_size=50,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )
    least, best = math.inf, [p.detach().clone() for p in parameters]

    def closure() -> Tensor:
        nonlocal least, best
        optimiser.zero_grad()
        value = loss()
        value.backward()
        now = value.item()
        if now < least:
            least, best = now, [p.detach().clone() for p in parameters]
        if time.process_time() > end or (not math.isfinite(now) and math.isinf(least)):
            raise _OutOfTime
        if math.isfinite(now):
            return value
        # The line search backs off from a large number, and is lost with an infinite one.
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        return torch.full_like(value, 1e30)

    with contextlib.suppress(_OutOfTime, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        optimiser.step(closure)
    with torch.no_grad():
        for parameter, kept in zip(parameters, best, strict=True):
            parameter.copy_(kept)
    return math.isfinite(least)
